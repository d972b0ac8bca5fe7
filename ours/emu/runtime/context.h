// Execution contexts: a stack and the registers a call preserves. Each CUDA
// thread that waits for others has one.
#pragma once

#include <stddef.h>

#if (defined(__x86_64__) || defined(__aarch64__)) && !defined(EMU_UCONTEXT)
#define EMU_ASM_CONTEXT 1
#else
#define EMU_ASM_CONTEXT 0
#include <ucontext.h>
#endif

namespace emu {

struct Context {
#if EMU_ASM_CONTEXT
    void *sp; // registers lie above it
#else
    ucontext_t registers;
#endif
};

// Prepares context to run entry() on a stack of size bytes that ends at top.
// entry must never return.
void context_prepare(Context *context, char *top, size_t size, void (*entry)());

// Saves the running context in from and continues the other one.
void context_switch(Context *from, Context *to);

// Called in a signal handler: arranges for the handler's return to continue
// the context instead of the interrupted code. False if this machine cannot.
bool context_land(void *signal_context, Context *to);

} // namespace emu
