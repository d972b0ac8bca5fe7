#include "host.h"

#include <dlfcn.h>
#include <pthread.h>
#include <signal.h>
#include <stddef.h>

// Signals a kernel can cause, and what handled them before us: Go's runtime.
static const int crashes[] = {SIGSEGV, SIGBUS, SIGFPE, SIGILL, SIGTRAP};
enum { CRASHES = sizeof(crashes) / sizeof(crashes[0]) };
static struct sigaction before[CRASHES];

// The emu_signal of the library that runs on this OS thread, if one does.
static _Thread_local emu_signal_fn *running;

// Offers the signal to the running library, then to whom it would have gone.
static void on_crash(int sig, siginfo_t *info, void *context) {
    if (running != NULL && running(sig, info->si_addr, context)) {
        return;
    }
    for (int i = 0; i < CRASHES; i++) {
        if (crashes[i] != sig) {
            continue;
        }
        if (before[i].sa_flags & SA_SIGINFO) {
            before[i].sa_sigaction(sig, info, context);
        } else if (before[i].sa_handler == SIG_DFL) {
            sigaction(sig, &before[i], NULL); // the instruction faults again and ends the process
        } else if (before[i].sa_handler != SIG_IGN) {
            before[i].sa_handler(sig);
        }
    }
}

// Go requires handlers of foreign code to run on the alternate stack, which
// every thread of its runtime has. It also means that a kernel whose stack
// overflowed still has a stack to report it on.
static void install(void) {
    struct sigaction action = {0};
    action.sa_sigaction = on_crash;
    action.sa_flags = SA_SIGINFO | SA_ONSTACK | SA_RESTART;
    sigfillset(&action.sa_mask);
    for (int i = 0; i < CRASHES; i++) {
        sigaction(crashes[i], &action, &before[i]);
    }
}

void *host_open(const char *path, const char **why) {
    static pthread_once_t once = PTHREAD_ONCE_INIT;
    pthread_once(&once, install);
    void *library = dlopen(path, RTLD_NOW | RTLD_LOCAL);
    if (library == NULL) {
        *why = dlerror();
    }
    return library;
}

void *host_symbol(void *library, const char *name) { return dlsym(library, name); }

void host_run(void *run, void *on_signal, struct host_job *job) {
    job->launch.args = job->args;
    job->launch.label = job->label;
    running = (emu_signal_fn *)on_signal;
    ((emu_run_fn *)run)(&job->launch);
    running = NULL;
}

void host_close(void *library, void *close) {
    ((emu_close_fn *)close)();
    dlclose(library);
}
