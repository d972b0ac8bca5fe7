// What the generated end of each translation unit needs (rewrite.go): kernels
// of any parameters behind one calling convention.
#pragma once

#include "emu.h"

namespace emu {

// A 64-bit slot that becomes whatever type the parameter it is passed for has.
struct Slot {
    uint64_t bits;
    template <typename P> operator P() const {
        static_assert(sizeof(P) == 8 || sizeof(P) == 4, "kernel parameters are pointers, 32-bit integers and floats");
        P value;
        memcpy(&value, &bits, sizeof(P)); // little endian: low bytes first
        return value;
    }
};

} // namespace emu

// arguments are the slots emu_slots[0], emu_slots[1] and so on, in parentheses.
#define EMU_KERNEL(name, arguments)                                                                                   \
    static void emu_call_##name(const uint64_t *emu_slots) { name arguments; }                                        \
    extern "C" __attribute__((visibility("default"))) const emu_kernel emu_kernel_##name = {emu_call_##name};
