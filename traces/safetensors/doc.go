// Package safetensors reads and writes safetensors files, streaming both
// ways: no call holds more of a file's data than the caller's own buffer.
//
// # The format
//
//	8 bytes   N, the header's length, unsigned little-endian
//	N bytes   the header, a JSON object in UTF-8, padded with spaces at its end
//	the rest  the tensors' data, row-major, little-endian, back to back
//
// The header maps each tensor's name to its element type, its shape and the
// half-open byte range of its data, counted from the end of the header. The
// name __metadata__ is taken: it maps strings to strings.
//
//	{"__metadata__": {"engine": "x"},
//	 "q": {"dtype": "F32", "shape": [2, 3], "data_offsets": [0, 24]}}
//
// A shape may be empty (a scalar, one element) and may contain 0 (no data).
//
// # What the reader insists on
//
// A file is evidence, so whatever could be read in two ways is refused, with
// one error that names the file and the tensor:
//
//   - The header is at most [MaxHeader] bytes, lies within the file, starts
//     with "{", is valid UTF-8 and valid JSON (which has no NaN) and is
//     followed by spaces alone.
//   - No name, no metadata key and no field occurs twice; no field is missing
//     or unknown; metadata values are strings.
//   - Sizes and offsets are whole numbers from 0 up; their products do not
//     overflow; the element type is one of the format's, and the byte range is
//     exactly as long as type and shape call for.
//   - The data are covered exactly: no range lies past the end of the file, no
//     two overlap, no byte before, between or after them belongs to none.
//
// # What the writer does
//
// Tensors arrive one at a time and the header that comes before them is known
// only when the last has arrived. [Create] therefore leaves room for the header
// of as many tensors as the caller expects; what is not needed becomes padding.
// When the room does not suffice the data are copied once, streaming, behind a
// header of the right length. N is a multiple of 8, so that the data start on
// an 8-byte boundary. Bytes go to a temporary file beside the target, which
// takes the target's name only when it is complete.
//
// The package knows the container. It must not know what tensors mean, which
// names they should have or which element types a caller wants.
package safetensors
