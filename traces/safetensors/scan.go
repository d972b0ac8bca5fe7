package safetensors

import (
	"encoding/json"
	"fmt"
	"strconv"
	"strings"
)

// scanner walks JSON text that encoding/json has already accepted. It need
// not check syntax, only kinds, and unlike encoding/json it shows the caller
// every key, so that one that occurs twice is noticed.
type scanner struct {
	text string
	at   int
}

// peek skips white space and returns the byte a value or bracket starts with.
func (s *scanner) peek() byte {
	for strings.IndexByte(" \t\r\n", s.text[s.at]) >= 0 {
		s.at++
	}
	return s.text[s.at]
}

// object calls each with every key of an object, in order; each must consume
// the key's value.
func (s *scanner) object(each func(key string) error) error {
	return s.list('{', "an object", func() error {
		key, err := s.string()
		if err != nil {
			return err
		}
		s.peek()
		s.at++ // the colon
		return each(key)
	})
}

// array calls each once per element; each must consume it.
func (s *scanner) array(each func() error) error {
	return s.list('[', "an array", each)
}

// list walks what stands between an opening bracket and its partner, which in
// ASCII is two further on for both { } and [ ].
func (s *scanner) list(open byte, want string, each func() error) error {
	if s.peek() != open {
		return s.not(want)
	}
	s.at++
	for s.peek() != open+2 {
		if s.text[s.at] == ',' {
			s.at++
		}
		if err := each(); err != nil {
			return err
		}
	}
	s.at++
	return nil
}

// string consumes a string.
func (s *scanner) string() (string, error) {
	if s.peek() != '"' {
		return "", s.not("a string")
	}
	start, escaped := s.at, false
	for s.at++; s.text[s.at] != '"'; s.at++ {
		if s.text[s.at] == '\\' {
			s.at++
			escaped = true
		}
	}
	s.at++
	if !escaped {
		return s.text[start+1 : s.at-1], nil
	}
	var out string
	err := json.Unmarshal([]byte(s.text[start:s.at]), &out)
	return out, err
}

// whole consumes a whole number from 0 up.
func (s *scanner) whole() (int64, error) {
	s.peek()
	n, err := strconv.ParseUint(s.word(), 10, 63)
	if err != nil {
		return 0, s.not("a whole number from 0 up")
	}
	s.at += len(s.word())
	return int64(n), nil
}

// word returns the number, literal or other text up to the next delimiter.
func (s *scanner) word() string {
	rest := s.text[s.at:]
	if end := strings.IndexAny(rest, ",:]} \t\r\n"); end > 0 {
		rest = rest[:end]
	}
	return rest
}

// not says that the value at hand is not of the kind wanted.
func (s *scanner) not(want string) error {
	const most = 32
	got := s.word()
	if len(got) > most {
		got = got[:most] + "..."
	}
	return fmt.Errorf("%q stands where %s belongs", got, want)
}
