#include "context.h"

#include <stdint.h>
#include <string.h>
#include <ucontext.h>

// emu_switch(void **save, void *sp) pushes the registers that a call must
// preserve, stores the stack pointer and falls into emu_resume's body, which
// pops them from the other stack and returns there. emu_resume(void *sp) is
// the second half alone. Rounding modes are not switched: kernels never change
// them.
#if EMU_ASM_CONTEXT && defined(__x86_64__)
// System V ABI: rbx, rbp and r12 to r15 survive a call.
__asm__(".text\n"
        ".p2align 4\n"
        ".hidden emu_switch\n.globl emu_switch\n.type emu_switch,@function\n"
        "emu_switch:\n"
        "  pushq %rbp\n  pushq %rbx\n  pushq %r12\n  pushq %r13\n  pushq %r14\n  pushq %r15\n"
        "  movq %rsp, (%rdi)\n"
        "  movq %rsi, %rsp\n"
        "1:\n"
        "  popq %r15\n  popq %r14\n  popq %r13\n  popq %r12\n  popq %rbx\n  popq %rbp\n"
        "  ret\n"
        ".size emu_switch,.-emu_switch\n"
        ".hidden emu_resume\n.globl emu_resume\n.type emu_resume,@function\n"
        "emu_resume:\n"
        "  movq %rdi, %rsp\n"
        "  jmp 1b\n"
        ".size emu_resume,.-emu_resume\n");
static const int saved_words = 6; // and above them the return address
static const int return_word = 6;
#elif EMU_ASM_CONTEXT && defined(__aarch64__)
// AAPCS64: x19 to x30 and the low halves of v8 to v15 survive a call; x30 is
// the return address.
__asm__(".text\n"
        ".p2align 4\n"
        ".hidden emu_switch\n.globl emu_switch\n.type emu_switch,%function\n"
        "emu_switch:\n"
        "  sub sp, sp, #160\n"
        "  stp x19, x20, [sp, #0]\n  stp x21, x22, [sp, #16]\n  stp x23, x24, [sp, #32]\n"
        "  stp x25, x26, [sp, #48]\n  stp x27, x28, [sp, #64]\n  stp x29, x30, [sp, #80]\n"
        "  stp d8, d9, [sp, #96]\n  stp d10, d11, [sp, #112]\n"
        "  stp d12, d13, [sp, #128]\n  stp d14, d15, [sp, #144]\n"
        "  mov x9, sp\n"
        "  str x9, [x0]\n"
        "  mov sp, x1\n"
        "1:\n"
        "  ldp x19, x20, [sp, #0]\n  ldp x21, x22, [sp, #16]\n  ldp x23, x24, [sp, #32]\n"
        "  ldp x25, x26, [sp, #48]\n  ldp x27, x28, [sp, #64]\n  ldp x29, x30, [sp, #80]\n"
        "  ldp d8, d9, [sp, #96]\n  ldp d10, d11, [sp, #112]\n"
        "  ldp d12, d13, [sp, #128]\n  ldp d14, d15, [sp, #144]\n"
        "  add sp, sp, #160\n"
        "  ret\n"
        ".size emu_switch,.-emu_switch\n"
        ".hidden emu_resume\n.globl emu_resume\n.type emu_resume,%function\n"
        "emu_resume:\n"
        "  mov sp, x0\n"
        "  b 1b\n"
        ".size emu_resume,.-emu_resume\n");
static const int saved_words = 20;
static const int return_word = 11; // x30's place
#endif

namespace emu {

#if EMU_ASM_CONTEXT

extern "C" void emu_switch(void **save, void *sp);
extern "C" void emu_resume(void *sp);

void context_prepare(Context *context, char *top, size_t, void (*entry)()) {
    // Both ABIs want a stack pointer that is a multiple of 16 at a call; on
    // x86-64 the call has pushed 8 bytes by the time the function starts.
    uintptr_t *frame = (uintptr_t *)((uintptr_t)top & ~(uintptr_t)15) - 2 - saved_words;
    memset(frame, 0, (saved_words + 2) * sizeof(uintptr_t));
    frame[return_word] = (uintptr_t)entry;
    context->sp = frame;
}

void context_switch(Context *from, Context *to) { emu_switch(&from->sp, to->sp); }

bool context_land(void *signal_context, Context *to) {
    ucontext_t *interrupted = (ucontext_t *)signal_context;
#if defined(__x86_64__)
    interrupted->uc_mcontext.gregs[REG_RDI] = (greg_t)to->sp;
    interrupted->uc_mcontext.gregs[REG_RIP] = (greg_t)emu_resume;
#else
    interrupted->uc_mcontext.regs[0] = (uintptr_t)to->sp;
    interrupted->uc_mcontext.pc = (uintptr_t)emu_resume;
#endif
    return true;
}

#else // ucontext: portable and slower, a system call per switch

void context_prepare(Context *context, char *top, size_t size, void (*entry)()) {
    getcontext(&context->registers);
    context->registers.uc_stack.ss_sp = top - size;
    context->registers.uc_stack.ss_size = size;
    context->registers.uc_link = nullptr;
    makecontext(&context->registers, entry, 0);
}

void context_switch(Context *from, Context *to) { swapcontext(&from->registers, &to->registers); }

bool context_land(void *, Context *) { return false; }

#endif

} // namespace emu
