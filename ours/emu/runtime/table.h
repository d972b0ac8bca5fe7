// What the generated end of each translation unit needs: a kernel of any
// parameters behind one calling convention.
#pragma once

#include <utility>

#include "abi.h"

namespace emu {

// A parameter from its 64-bit slot.
template <typename P> static inline P param(uint64_t slot) {
    static_assert(sizeof(P) == 8 || sizeof(P) == 4, "kernel parameters are pointers, 32-bit integers and floats");
    P value;
    memcpy(&value, &slot, sizeof(P)); // little endian: low bytes first
    return value;
}

template <typename F> struct Kernel;
template <typename... P> struct Kernel<void (*)(P...)> {
    static constexpr uint32_t params = sizeof...(P);
    template <void (*kernel)(P...), size_t... I> static void spread(const uint64_t *args, std::index_sequence<I...>) {
        kernel(param<P>(args[I])...);
    }
    template <void (*kernel)(P...)> static void call(const uint64_t *args) {
        spread<kernel>(args, std::index_sequence_for<P...>());
    }
};

} // namespace emu

#define EMU_KERNEL(name)                                                                                              \
    extern "C" __attribute__((visibility("default"))) const emu_kernel emu_kernel_##name = {                          \
        emu::Kernel<decltype(&name)>::call<&name>, emu::Kernel<decltype(&name)>::params};
