package kernels

// Blank returns text of the same length and line structure in which comments
// and the contents of string and character literals are spaces, so that a
// search finds code only and offsets stay valid.
func Blank(text string) string {
	out := []byte(text)
	erase := func(from, to int) {
		for i := from; i < min(to, len(out)); i++ {
			if out[i] != '\n' {
				out[i] = ' '
			}
		}
	}
	for i := 0; i < len(text); {
		switch end := i; {
		case hasAt(text, i, "//"):
			for end < len(text) && text[end] != '\n' {
				end++
			}
			erase(i, end)
			i = end
		case hasAt(text, i, "/*"):
			end += 2
			for end < len(text) && !hasAt(text, end, "*/") {
				end++
			}
			erase(i, end+2)
			i = end + 2
		case text[i] == '"' || text[i] == '\'' && !digitSeparator(text, i):
			end++
			for end < len(text) && text[end] != text[i] && text[end] != '\n' {
				if text[end] == '\\' {
					end++
				}
				end++
			}
			erase(i+1, end)
			i = end + 1
		default:
			i++
		}
	}
	return string(out)
}

// hasAt reports whether text continues with part at offset i.
func hasAt(text string, i int, part string) bool {
	return len(text)-i >= len(part) && text[i:i+len(part)] == part
}

// digitSeparator reports whether the quote at i separates digits, as in
// 1'000'000.
func digitSeparator(text string, i int) bool {
	return i > 0 && i+1 < len(text) && hexDigit(text[i-1]) && hexDigit(text[i+1])
}

func hexDigit(c byte) bool {
	return '0' <= c && c <= '9' || 'a' <= c && c <= 'f' || 'A' <= c && c <= 'F'
}
