package gguf

// Byte-level BPE spells every byte as one printable character, so that tokens
// are text (GPT-2's bytes_to_unicode). Bytes that are printable Latin-1 stand
// for themselves; the 68 others are numbered from U+0100 on in their order.

// byteRune is the character of each byte.
var byteRune = func() (runes [256]rune) {
	next := rune(256)
	for b := range runes {
		switch {
		case b >= '!' && b <= '~', b >= 0xa1 && b <= 0xac, b >= 0xae:
			runes[b] = rune(b)
		default:
			runes[b] = next
			next++
		}
	}
	return runes
}()

// runeByte is the way back.
var runeByte = func() map[rune]byte {
	m := make(map[rune]byte, len(byteRune))
	for b, r := range byteRune {
		m[r] = byte(b)
	}
	return m
}()

// SpellBytes returns text as a byte-level vocabulary spells it: " the" is
// "Ġthe".
func SpellBytes(text string) string {
	runes := make([]rune, len(text))
	for i := range len(text) {
		runes[i] = byteRune[text[i]]
	}
	return string(runes)
}

// appendBytes appends the bytes a token's spelling stands for. Characters
// that stand for no byte are taken as they are.
func appendBytes(dst []byte, spelling string) []byte {
	for _, r := range spelling {
		if b, ok := runeByte[r]; ok {
			dst = append(dst, b)
		} else {
			dst = append(dst, string(r)...)
		}
	}
	return dst
}
