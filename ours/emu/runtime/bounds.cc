// What code compiled with -fsanitize=bounds,object-size calls before it uses an
// index that is outside of its array, or a pointer that is outside of the
// variable it was made from. The compiler's own library would print and go on,
// and that library, libubsan, need not be installed; the types here are the part
// of its interface that GCC and clang share (compiler-rt, ubsan_handlers.h and
// ubsan_value.h).
#include <stdio.h>

#include "block.h"

namespace emu {

struct Type {
    uint16_t kind; // 0 for integers
    uint16_t info; // of an integer: 1 if signed, plus twice the logarithm of its bits
    char name[1];  // "'float [4]'", quotes included
};

struct Place {
    const char *file;
    uint32_t line, column;
};

struct OutOfBounds {
    Place at;
    const Type *array, *index;
};

struct TypeMismatch {
    Place at;
    const Type *type;
    uint8_t alignment, access; // what is done there, see accesses
};

static const char *const accesses[] = {"read", "write", "reference"};

// The index, which stands in place of a pointer where it fits.
static long long number(const Type &type, uintptr_t value) {
    const unsigned bits = 1u << (type.info >> 1);
    if (bits > 8 * sizeof(value)) {
        return 0;
    }
    const unsigned spare = 8 * sizeof(value) - bits;
    const bool is_signed = type.info & 1;
    return is_signed ? (long long)((intptr_t)(value << spare) >> spare) : (long long)(value << spare >> spare);
}

} // namespace emu

using namespace emu;

extern "C" void __ubsan_handle_out_of_bounds(void *data, void *index) {
    const OutOfBounds &o = *(const OutOfBounds *)data;
    snprintf(message, sizeof(message), "index %lld is outside of its array, %s, at %s:%u", number(*o.index, (uintptr_t)index), o.array->name,
             o.at.file, o.at.line);
    abandon(EMU_ASSERT);
}

extern "C" void __ubsan_handle_type_mismatch_v1(void *data, void *) {
    const TypeMismatch &m = *(const TypeMismatch *)data;
    snprintf(message, sizeof(message), "%s of %s outside of the variable that it was to be in, at %s:%u",
             m.access < 3 ? accesses[m.access] : "use", m.type->name, m.at.file, m.at.line);
    abandon(EMU_ASSERT);
}
