/*
 * The limit: the fault path of the emulated core as a careful single-threaded C program, for `compare bench --against c`.
 *
 *   access -> software TLB -> stage-2 entry -> page fault -> memslot -> VMA -> residency -> fault word -> verdict
 *          -> entry / exit / host fault
 *
 * It does the work of the core's batches and keeps the same record of it: fault words counted, events in a ring. A
 * test compares both, loop by loop. It knows its policies by name and has no tables and no cost model: what it takes
 * is what the work takes when nothing about it is open.
 */
#ifndef FAULTLINE_BENCH_CORE_H
#define FAULTLINE_BENCH_CORE_H

#include <string.h>
#include "policies.h"

/* Events, as engine/core/vm.ts has them. */
enum { EV_FAULT = 1, EV_EXIT = 2, EV_SLOT = 4, EV_REFUSED = 7, EV_VALUE_SHIFT = 4, EV_OFFSET_SHIFT = 10 };
enum { KVM_EXIT_MMIO = 6 };
enum { SP_P = 1, SP_W = 2, SP_MMIO = 4, SP_FRAME_SHIFT = 3 };

#define TLB_N 1024u
#define RING 1024u
#define INVALID 0xffffffffu
#define FACT_WORDS 8192u
#define AROUND 16u

/* Steps that are counted when they happen; the others follow from the words (account.h). */
enum { ST_SYSCALL, ST_SLOT_CHANGE, ST_HOST_MAP, ST_HOST_COW, ST_STAGE2_ZAP, ST_HOST_IO, NCOUNTED };

typedef struct { u32 tag[2]; u8 *base; } tlbe;          /* 16 bytes; tag[0] may be read, tag[1] written */
typedef struct { u32 gfn, npages, hvn, facts; } slot_t; /* sorted by gfn */
/* Sorted by start, [start, end) in host pages; the facts of its VMA, and those of a page that is mapped. */
typedef struct { u32 start, end, facts, mapped; } vma_t;

typedef struct {
	tlbe tlb[TLB_N];
	u32 *spte, max_gfn;
	slot_t *slots;
	u32 nslots, last_slot;
	vma_t *vmas;
	u32 nvmas, last_vma;
	u32 *res, *swp, *own; /* mapped in the VMM, swapped out, a private copy: bitmaps, by host page */
	u32 *frame_of;  /* frame + 1 by host page, 0 = never populated */
	u8 *mem;
	u32 nframes, next_frame;
	u32 policy, around, ring_head;
	u32 steps[NCOUNTED];
	u32 devices[2];            /* loads and stores of pages known to be devices */
	u32 words[FACT_WORDS * 2]; /* by fault word; the second half for faults over an entry */
	u32 ring[RING * 4];
} vm_t;

static inline void record(vm_t *vm, u32 kind, u32 a, u32 b, u32 c)
{
	u32 *r = vm->ring + (vm->ring_head++ & (RING - 1)) * 4;
	r[0] = kind;
	r[1] = a;
	r[2] = b;
	r[3] = c;
}

/* Last hit, then binary search, as gfn_to_memslot() does it. */
static inline u32 find_slot(vm_t *vm, u32 gfn)
{
	slot_t *a = vm->slots;
	u32 s = vm->last_slot, lo = 0, hi = vm->nslots;
	if (gfn - a[s].gfn < a[s].npages) return s;
	while (lo < hi) {
		u32 m = (lo + hi) >> 1;
		if (a[m].gfn <= gfn) lo = m + 1;
		else hi = m;
	}
	if (lo && gfn - a[lo - 1].gfn < a[lo - 1].npages) {
		vm->last_slot = lo - 1;
		return lo - 1;
	}
	return INVALID;
}

static inline u32 find_vma(vm_t *vm, u32 hvn)
{
	vma_t *a = vm->vmas;
	u32 s = vm->last_vma, lo = 0, hi = vm->nvmas;
	if (hvn - a[s].start < a[s].end - a[s].start) return s;
	while (lo < hi) {
		u32 m = (lo + hi) >> 1;
		if (a[m].start <= hvn) lo = m + 1;
		else hi = m;
	}
	if (lo && hvn < a[lo - 1].end) {
		vm->last_vma = lo - 1;
		return lo - 1;
	}
	return INVALID;
}

static inline u32 facts(vm_t *vm, u32 slot, u32 hvn, u32 write)
{
	u32 i = write | vm->slots[slot].facts, v = find_vma(vm, hvn), w = hvn >> 5, b = hvn & 31;
	if (v == INVALID) return i;
	u32 mapped = 0u - ((vm->res[w] >> b) & 1);
	return i | vm->vmas[v].facts | (mapped & vm->vmas[v].mapped) | ((vm->own[w] >> b) & 1) * F_PTE_WRITE;
}

/* Enters the page into the TLB and does the access. */
static inline u32 tlb_fill(vm_t *vm, u32 gfn, u32 off, u32 write, u32 val, u32 sp)
{
	tlbe *e = &vm->tlb[gfn & (TLB_N - 1)];
	u8 *b = vm->mem + ((u64)(sp >> SP_FRAME_SHIFT) << 12);
	e->tag[0] = gfn;
	e->tag[1] = sp & SP_W ? gfn : INVALID;
	e->base = b;
	if (!write) return b[off];
	b[off] = (u8)val;
	return 0;
}

static inline void set_bit(u32 *map, u32 i) { map[i >> 5] |= 1u << (i & 31); }
static inline void clear_bit(u32 *map, u32 i) { map[i >> 5] &= ~(1u << (i & 31)); }
static inline u32 get_bit(const u32 *map, u32 i) { return (map[i >> 5] >> (i & 31)) & 1; }

/* A host page gets a frame if it has none; 0 when there are no more. */
static inline u32 populate(vm_t *vm, u32 hvn)
{
	if (vm->frame_of[hvn]) return 1;
	if (vm->next_frame >= vm->nframes) return 0;
	vm->frame_of[hvn] = ++vm->next_frame;
	return 1;
}

#define STALE 2u

/*
 * A private page that was mapped for reading gets a copy of its own; the entry of the old one goes, and the fault
 * finds that the host's mapping changed while it was served.
 */
static __attribute__((noinline)) u32 copy_on_write(vm_t *vm, u32 hvn)
{
	u8 *from = vm->mem + ((u64)(vm->frame_of[hvn] - 1) << 12);
	if (vm->next_frame >= vm->nframes) return 0;
	memcpy(vm->mem + ((u64)vm->next_frame << 12), from, 4096);
	vm->frame_of[hvn] = ++vm->next_frame;
	vm->steps[ST_HOST_COW]++;
	vm->steps[ST_STAGE2_ZAP]++;
	set_bit(vm->own, hvn);
	return STALE;
}

/* do_fault_around(): a file's read fault maps its neighbours too, up to the end of VMA and page table. */
static __attribute__((noinline)) u32 map_around(vm_t *vm, const vma_t *a, u32 hvn)
{
	u32 from = hvn & ~(AROUND - 1), to, table_end;
	if (from < a->start) from = a->start;
	to = from + AROUND;
	table_end = (from | 511) + 1;
	if (to > a->end) to = a->end;
	if (to > table_end) to = table_end;
	for (u32 i = from; i < to; i++) {
		if (get_bit(vm->res, i)) continue;
		if (!populate(vm, i)) return 0;
		set_bit(vm->res, i);
		if (i != hvn) vm->steps[ST_HOST_MAP]++;
	}
	return 1;
}

/* handle_mm_fault(): the page comes into memory, read back or as zeros, and is mapped in the VMM. 0: no frame left. */
static inline u32 fault_in(vm_t *vm, u32 hvn, u32 write)
{
	vma_t *a = &vm->vmas[vm->last_vma];
	if (get_bit(vm->res, hvn)) return copy_on_write(vm, hvn);
	if (vm->around && !write && !(a->facts & F_MKWRITE)) return map_around(vm, a, hvn);
	if (!populate(vm, hvn)) return 0;
	vm->steps[ST_HOST_IO] += get_bit(vm->swp, hvn);
	clear_bit(vm->swp, hvn);
	set_bit(vm->res, hvn);
	return 1;
}

/* The emulator finds a device: userspace does the access, and gives 0xff for a load. */
static u32 device(vm_t *vm, u32 gfn, u32 off, u32 write, u32 val)
{
	u32 data = write ? (val & 0xff) << EV_VALUE_SHIFT : 0;
	vm->devices[write]++;
	record(vm, EV_EXIT, KVM_EXIT_MMIO | data, gfn, off | write << EV_OFFSET_SHIFT);
	return 0xff;
}

static __attribute__((noinline)) u32 slow(vm_t *vm, u32 gfn, u32 off, u32 write, u32 val)
{
	for (;;) {
		u32 sp = vm->spte[gfn], s, hvn = 0, word = write, v = V_EMULATE_MMIO, got = 1;
		if ((sp & SP_P) && (!write || (sp & SP_W))) return tlb_fill(vm, gfn, off, write, val, sp);
		if (sp & SP_MMIO) return device(vm, gfn, off, write, val);
		s = find_slot(vm, gfn);
		if (s != INVALID) {
			hvn = vm->slots[s].hvn + (gfn - vm->slots[s].gfn);
			word = facts(vm, s, hvn, write);
			v = decide(vm->policy, word);
		}
		vm->words[word | (sp & SP_P) * FACT_WORDS]++;
		switch (v & V_ACTION) {
		case V_MAP:
			if ((v & V_FAULT_IN) && !(got = fault_in(vm, hvn, write))) break;
			record(vm, EV_FAULT, word, gfn, v);
			vm->spte[gfn] = got == STALE ? 0 : (vm->frame_of[hvn] - 1) << SP_FRAME_SHIFT | SP_P |
							    (v & V_WRITABLE ? SP_W : 0);
			continue;
		case V_EMULATE_MMIO:
			record(vm, EV_FAULT, word, gfn, v);
			vm->spte[gfn] = SP_MMIO;
			if (vm->tlb[gfn & (TLB_N - 1)].tag[0] == gfn) vm->tlb[gfn & (TLB_N - 1)].tag[0] = INVALID;
			return device(vm, gfn, off, write, val);
		}
		/* Fault and exit of a store that is refused are one event. */
		record(vm, EV_REFUSED | (val & 0xff) << EV_VALUE_SHIFT, word, gfn, v | off << EV_OFFSET_SHIFT);
		return 0;
	}
}

static __attribute__((noinline)) u32 run_reads(vm_t *vm, const u32 *list, u32 mask, u32 n)
{
	u32 sum = 0;
	for (u32 i = 0; i < n; i++) {
		u32 gfn = list[i & mask], off = (i * 67) & 4095;
		tlbe *e = &vm->tlb[gfn & (TLB_N - 1)];
		sum += __builtin_expect(e->tag[0] == gfn, 1) ? e->base[off] : slow(vm, gfn, off, 0, 0);
	}
	return sum;
}

static __attribute__((noinline)) u32 run_writes(vm_t *vm, const u32 *list, u32 mask, u32 n)
{
	for (u32 i = 0; i < n; i++) {
		u32 gfn = list[i & mask], off = (i * 67) & 4095;
		tlbe *e = &vm->tlb[gfn & (TLB_N - 1)];
		if (__builtin_expect(e->tag[1] == gfn, 1)) e->base[off] = (u8)i;
		else slow(vm, gfn, off, 1, i);
	}
	return 0;
}

static inline void tlb_flush(vm_t *vm)
{
	for (u32 i = 0; i < TLB_N; i++) vm->tlb[i].tag[0] = vm->tlb[i].tag[1] = INVALID;
}

/* Takes the pages' stage-2 entries away; with `evict` because the pages leave memory. */
static inline void zap(vm_t *vm, const u32 *list, u32 n, u32 evict)
{
	for (u32 i = 0; i < n; i++) {
		u32 g = list[i], s, old = vm->spte[g];
		vm->spte[g] = 0;
		if (!evict || (s = find_slot(vm, g)) == INVALID) continue;
		u32 h = vm->slots[s].hvn + (g - vm->slots[s].gfn);
		vm->steps[ST_STAGE2_ZAP] += old & SP_P;
		clear_bit(vm->res, h);
		set_bit(vm->swp, h);
	}
	tlb_flush(vm);
}

/* How the VMM laid a guest's memory out: RAM from page 0 in slot 0, ROMs from rom_gfn on, `gap` pages apart. */
typedef struct {
	u32 ram_pages, roms, rom_gfn, rom_pages, gap;
	u32 slotted, readonly, writable, shared, file; /* what the ROMs are given by; not slotted: only mapped */
	u32 frames;
	u32 mmap_base, mmap_gap; /* where the mappings begin: a window of fault-around then ends at the core's pages */
} layout_t;

static inline void vm_layout(vm_t *vm, const layout_t *l)
{
	u32 hvn = l->mmap_base, mkwrite = l->shared && !l->file ? F_MKWRITE : 0;
	for (u32 s = 0; s < (l->slotted ? l->roms + 1 : 1); s++) {
		slot_t *a = &vm->slots[s];
		vma_t *v = &vm->vmas[s];
		u32 writable = !s || l->writable;
		a->gfn = s ? l->rom_gfn + (s - 1) * l->gap : 0;
		a->npages = s ? l->rom_pages : l->ram_pages;
		a->facts = F_SLOT | (s && l->readonly ? F_SLOT_READONLY : 0);
		a->hvn = v->start = hvn;
		v->end = hvn + a->npages;
		v->facts = F_VMA | F_VM_READ | (writable ? F_VM_WRITE : 0) | (!s ? F_MKWRITE : writable ? mkwrite : 0);
		v->mapped = F_PTE_PRESENT | (v->facts & F_MKWRITE ? F_PTE_WRITE : 0);
		hvn = v->end + l->mmap_gap;
		vm->nslots = vm->nvmas = s + 1;
		vm->steps[ST_SYSCALL]++;
		vm->steps[ST_SLOT_CHANGE]++;
		record(vm, EV_SLOT, s, a->gfn, a->npages);
	}
	vm->around = l->file;
	tlb_flush(vm);
}

#endif
