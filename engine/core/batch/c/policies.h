/*
 * Fault words, verdicts, and what each policy makes of the one: the fault path of engine/core/kvm/fault with its
 * decisions compiled in. Words and verdicts have the core's bits (engine/facts.ts, fault-path.ts).
 */
#ifndef FAULTLINE_BENCH_POLICIES_H
#define FAULTLINE_BENCH_POLICIES_H

typedef unsigned char u8;
typedef unsigned int u32;
typedef unsigned long long u64;

enum {
	F_WRITE = 1, F_SLOT = 2, F_SLOT_READONLY = 4, F_VMA = 8, F_VM_READ = 16, F_VM_WRITE = 32,
	F_PTE_PRESENT = 64, F_PTE_WRITE = 128, F_MKWRITE = 256, F_COLD = 512
};
enum { V_MAP = 1, V_EMULATE = 2, V_EMULATE_MMIO = 3, V_EFAULT = 4, V_ACTION = 7 };
enum { V_WRITABLE = 8, V_FAULT_IN = 16, V_FAULT_IN_WRITE = 32, V_REEXECUTE = 64, V_HVA_OK = 512 };

/* By the series they stand for; v5 decides about the words of the loops as v4 does. */
enum { POL_BASE, POL_GUP_REASONS, POL_READONLY_MEMSLOT, POL_V3, POL_V4, NPOL };
static const char *const POLICY_NAMES[NPOL] = {
	"base", "gup-nowait-reasons", "readonly-memslot", "readonly-memslot-v3", "readonly-memslot-v4",
};

/* May the host give the page for this access, if it can wait? */
static inline u32 gup_gives(u32 w) { return (w & F_VM_READ) && (!(w & F_WRITE) || (w & F_VM_WRITE)); }

/* make_spte(): the entry, and what the host has to do before. */
static inline u32 mapped(u32 w)
{
	u32 write = w & F_WRITE, has = w & (write ? F_PTE_WRITE : F_PTE_PRESENT);
	u32 leaves = w & (w & F_PTE_PRESENT ? F_PTE_WRITE : F_MKWRITE);
	u32 writable = write || (!(w & F_SLOT_READONLY) && leaves);
	return V_MAP | V_HVA_OK | (has ? 0 : V_FAULT_IN | write * V_FAULT_IN_WRITE) | (writable ? V_WRITABLE : 0);
}

static inline u32 refuses_slot(u32 w) { return (w & (F_WRITE | F_SLOT_READONLY)) == (F_WRITE | F_SLOT_READONLY); }

/* 3.5: nothing is known about read-only memory, and only a mapping that can be written is worth waiting for. */
static inline u32 decide_base(u32 w)
{
	if (!gup_gives(w) || (w & (F_COLD | F_VM_WRITE)) == F_COLD) return V_EFAULT | V_HVA_OK | V_REEXECUTE;
	return mapped(w) | V_REEXECUTE;
}

/* gup tells a write to memory that may only be read apart; it is emulated. */
static inline u32 decide_gup_reasons(u32 w)
{
	u32 again = w & F_VM_WRITE ? V_REEXECUTE : 0;
	if (gup_gives(w)) return mapped(w) | again;
	return (w & F_VM_READ ? V_EMULATE : V_EFAULT) | V_HVA_OK | again;
}

/* A write to a read-only slot finds no address and is emulated. */
static inline u32 decide_readonly_memslot(u32 w)
{
	if (refuses_slot(w)) return V_EMULATE;
	u32 again = (w & (F_VM_WRITE | F_SLOT_READONLY)) == F_VM_WRITE ? V_REEXECUTE : 0;
	return (gup_gives(w) ? mapped(w) : V_EFAULT | V_HVA_OK) | again;
}

/* …and is entered again whenever there is a slot; in v3 remembered as a device, too. */
static inline u32 decide_earlier(u32 w, u32 refused)
{
	if (refuses_slot(w)) return refused | V_REEXECUTE;
	return (gup_gives(w) ? mapped(w) : V_EFAULT | V_HVA_OK) | V_REEXECUTE;
}

static inline u32 decide(u32 policy, u32 w)
{
	switch (policy) {
	case POL_BASE: return decide_base(w);
	case POL_GUP_REASONS: return decide_gup_reasons(w);
	case POL_READONLY_MEMSLOT: return decide_readonly_memslot(w);
	case POL_V3: return decide_earlier(w, V_EMULATE_MMIO);
	default: return decide_earlier(w, V_EMULATE);
	}
}

#endif
