/* The steps of the work done, by the core's names: what was counted when it happened, and what follows from the words. */
#ifndef FAULTLINE_BENCH_ACCOUNT_H
#define FAULTLINE_BENCH_ACCOUNT_H

#include "core.h"

enum {
	ST_WORLD_SWITCH = NCOUNTED, ST_FAST_PAGE_FAULT, ST_STAGE2_MAP, ST_HOST_FAULT,
	ST_DECODE, ST_ACCESS, ST_MMIO_EXIT, ST_USERSPACE_EXIT, NSTEPS
};
static const char *const STEP_NAMES[NSTEPS] = {
	"syscall", "slot-change", "host-map", "host-cow", "stage2-zap", "host-io", "world-switch", "fast-page-fault",
	"stage2-map", "host-fault", "emulate-decode", "emulate-access", "mmio-exit", "userspace-exit",
};

/* So many returns to userspace, and KVM_RUN again. */
static void left(u32 *steps, u32 n)
{
	steps[ST_USERSPACE_EXIT] += n;
	steps[ST_SYSCALL] += n;
}

/* So many accesses emulated that left as MMIO; one is tried `tries` times. */
static void emulated(u32 *steps, u32 n, u32 tries)
{
	steps[ST_WORLD_SWITCH] += n;
	steps[ST_DECODE] += n;
	steps[ST_ACCESS] += n * tries;
	steps[ST_MMIO_EXIT] += n;
	left(steps, n);
}

static void account_word(const vm_t *vm, u32 word, u32 n, u32 *steps)
{
	u32 v = word & F_SLOT ? decide(vm->policy, word) : V_EMULATE_MMIO;
	switch (v & V_ACTION) {
	case V_MAP:
		steps[ST_WORLD_SWITCH] += n;
		steps[ST_STAGE2_MAP] += n;
		break;
	case V_EMULATE:
		if (v & V_HVA_OK) steps[ST_HOST_FAULT] += n;
		emulated(steps, n, 1);
		break;
	case V_EMULATE_MMIO: /* its exit is counted with the devices' */
		steps[ST_STAGE2_MAP] += n;
		break;
	case V_EFAULT:
		steps[ST_WORLD_SWITCH] += n;
		left(steps, n);
	}
}

static void account(const vm_t *vm, u32 *steps)
{
	memset(steps, 0, NSTEPS * sizeof *steps);
	memcpy(steps, vm->steps, sizeof vm->steps);
	/* A fault that copied is taken twice, and the first time nothing is mapped. */
	steps[ST_STAGE2_MAP] -= vm->steps[ST_HOST_COW];
	for (u32 i = 0; i < FACT_WORDS * 2; i++) {
		if (i >= FACT_WORDS) steps[ST_FAST_PAGE_FAULT] += vm->words[i];
		account_word(vm, i & (FACT_WORDS - 1), vm->words[i], steps);
	}
	/* What a load gets from userspace is taken by doing it again. */
	emulated(steps, vm->devices[0], 2);
	emulated(steps, vm->devices[1], 1);
}

#endif
