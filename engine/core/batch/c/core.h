/*
 * The limit: the fault path of the emulated core as a careful single-threaded C program, for `compare bench --against c`.
 *
 *   access -> software TLB -> stage-2 entry -> page fault -> memslot -> VMA -> residency -> verdict
 *          -> map / exit record / swap-in
 *
 * It knows five policies by name and has no tables, no cost model and no trace beyond its exit ring: what it
 * costs is what the work costs when nothing about it is open.
 */
#ifndef FAULTLINE_BENCH_CORE_H
#define FAULTLINE_BENCH_CORE_H

typedef unsigned char u8;
typedef unsigned int u32;
typedef unsigned long long u64;

enum { ACT_MAP_RW, ACT_MAP_RO, ACT_MMIO, ACT_EFAULT, ACT_INTERNAL, ACT_RETRY, ACT_ASYNC };
enum { I_WRITE = 1, I_SLOT_RO = 2, I_VMA_R = 4, I_VMA_W = 8, I_RES = 16, I_SWAP = 32, I_RETRIED = 64 };
enum { SLOT_RO = 1, VMA_R = 1, VMA_W = 2, SP_P = 1, SP_W = 2 };
enum { POL_RO_MEMSLOT, POL_PROT_READ, POL_DUAL_SHM, POL_GUP_REASON, POL_REEXEC, NPOL };
enum { ST_FAULT, ST_MISS, ST_EXIT, ST_ASYNC, ST_RETRY, ST_MAP, NSTAT };

#define TLB_N 1024u
#define RING 4096u
#define INVALID 0xffffffffu

typedef struct { u32 tag[2]; u8 *base; } tlbe;          /* 16 bytes; tag[0] may be read, tag[1] written */
typedef struct { u32 gfn, npages, hvn, flags; } slot_t; /* sorted by gfn */
typedef struct { u32 start, end, flags, pad; } vma_t;   /* sorted by start, [start, end) in host pages */

typedef struct {
	tlbe tlb[TLB_N];
	u32 *spte, max_gfn;
	slot_t *slots;
	u32 nslots, last_slot;
	vma_t *vmas;
	u32 nvmas, last_vma;
	u32 *res, *swp; /* residency and swapped bitmaps, by host page */
	u32 *frame_of;  /* frame + 1 by host page, 0 = never populated */
	u8 *mem;
	u32 nframes, next_frame;
	u32 policy, ring_head, async_head;
	u32 stat[NSTAT];
	u32 async_q[64];
	u32 ring[RING * 4];
} vm_t;

/* What each policy makes of the facts. */
static inline u32 decide_ro_memslot(u32 i)
{
	if ((i & (I_WRITE | I_SLOT_RO)) == (I_WRITE | I_SLOT_RO)) return ACT_MMIO;
	if (!(i & I_VMA_R)) return ACT_EFAULT;
	if ((i & I_WRITE) && !(i & I_VMA_W)) return ACT_EFAULT;
	if (i & I_SWAP) return ACT_ASYNC;
	return (i & I_VMA_W) && !(i & I_SLOT_RO) ? ACT_MAP_RW : ACT_MAP_RO;
}

static inline u32 decide_prot_read(u32 i)
{
	if (!(i & I_VMA_R)) return ACT_EFAULT;
	if (!(i & I_VMA_W)) return i & (I_WRITE | I_SWAP) ? ACT_EFAULT : ACT_MAP_RO;
	return i & I_SWAP ? ACT_ASYNC : ACT_MAP_RW;
}

static inline u32 decide_dual_shm(u32 i)
{
	if (!(i & I_VMA_R)) return ACT_EFAULT;
	if ((i & I_WRITE) && !(i & I_VMA_W)) return ACT_INTERNAL;
	if (i & I_SWAP) return ACT_ASYNC;
	return i & I_VMA_W ? ACT_MAP_RW : ACT_MAP_RO;
}

static inline u32 decide_gup_reason(u32 i)
{
	if (i & I_SWAP) return ACT_ASYNC;
	if (!(i & I_VMA_R)) return ACT_EFAULT;
	if ((i & I_WRITE) && !(i & I_VMA_W)) return ACT_MMIO;
	return i & I_VMA_W ? ACT_MAP_RW : ACT_MAP_RO;
}

static inline u32 decide_reexec(u32 i)
{
	if (!(i & I_VMA_R)) return ACT_EFAULT;
	if ((i & I_WRITE) && !(i & I_VMA_W)) return i & I_RETRIED ? ACT_INTERNAL : ACT_RETRY;
	if (i & I_SWAP) return ACT_ASYNC;
	return i & I_VMA_W ? ACT_MAP_RW : ACT_MAP_RO;
}

static inline u32 decide(u32 policy, u32 i)
{
	switch (policy) {
	case POL_RO_MEMSLOT: return decide_ro_memslot(i);
	case POL_PROT_READ: return decide_prot_read(i);
	case POL_DUAL_SHM: return decide_dual_shm(i);
	case POL_GUP_REASON: return decide_gup_reason(i);
	default: return decide_reexec(i);
	}
}

static inline void exit_record(vm_t *vm, u32 kind, u32 gfn, u32 off, u32 val)
{
	u32 *r = vm->ring + (vm->ring_head++ & (RING - 1)) * 4;
	r[0] = kind;
	r[1] = gfn;
	r[2] = off;
	r[3] = val;
	vm->stat[ST_EXIT]++;
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
	u32 i = write | (vm->slots[slot].flags & SLOT_RO) << 1, v = find_vma(vm, hvn), w = hvn >> 5, b = hvn & 31;
	if (v == INVALID) return i;
	return i | (vm->vmas[v].flags & 3) << 2 | ((vm->res[w] >> b) & 1) << 4 | ((vm->swp[w] >> b) & 1) << 5;
}

/* Enters the page into the TLB and does the access. */
static inline u32 tlb_fill(vm_t *vm, u32 gfn, u32 off, u32 write, u32 val, u32 sp)
{
	tlbe *e = &vm->tlb[gfn & (TLB_N - 1)];
	u8 *b = vm->mem + ((u64)(sp >> 2) << 12);
	e->tag[0] = gfn;
	e->tag[1] = sp & SP_W ? gfn : INVALID;
	e->base = b;
	vm->stat[ST_MISS]++;
	if (!write) return b[off];
	b[off] = (u8)val;
	return 0;
}

static inline int map_page(vm_t *vm, u32 gfn, u32 hvn, u32 act)
{
	u32 f = vm->frame_of[hvn];
	if (!f) {
		if (vm->next_frame >= vm->nframes) return 0;
		f = ++vm->next_frame;
		vm->frame_of[hvn] = f;
		vm->res[hvn >> 5] |= 1u << (hvn & 31);
	}
	vm->spte[gfn] = (f - 1) << 2 | SP_P | (act == ACT_MAP_RW ? SP_W : 0);
	vm->stat[ST_MAP]++;
	return 1;
}

static inline void swap_in(vm_t *vm, u32 hvn)
{
	vm->async_q[vm->async_head++ & 63] = hvn;
	vm->stat[ST_ASYNC]++;
	vm->swp[hvn >> 5] &= ~(1u << (hvn & 31));
	vm->res[hvn >> 5] |= 1u << (hvn & 31);
}

static __attribute__((noinline)) u32 slow(vm_t *vm, u32 gfn, u32 off, u32 write, u32 val)
{
	u32 retried = 0;
	if (gfn >= vm->max_gfn) {
		exit_record(vm, ACT_MMIO, gfn, off, val);
		return 0xff;
	}
	for (;;) {
		u32 sp = vm->spte[gfn], s, hvn, act;
		if ((sp & SP_P) && (!write || (sp & SP_W))) return tlb_fill(vm, gfn, off, write, val, sp);
		vm->stat[ST_FAULT]++;
		s = find_slot(vm, gfn);
		if (s == INVALID) {
			exit_record(vm, ACT_MMIO, gfn, off, val);
			return 0xff;
		}
		hvn = vm->slots[s].hvn + (gfn - vm->slots[s].gfn);
		act = decide(vm->policy, facts(vm, s, hvn, write) | retried);
		switch (act) {
		case ACT_MAP_RW:
		case ACT_MAP_RO:
			if (map_page(vm, gfn, hvn, act)) continue;
			exit_record(vm, ACT_EFAULT, gfn, off, val);
			return 0xff;
		case ACT_ASYNC:
			swap_in(vm, hvn);
			continue;
		case ACT_RETRY:
			vm->stat[ST_RETRY]++;
			retried = I_RETRIED;
			continue;
		default:
			exit_record(vm, act, gfn, off, val);
			return 0xff;
		}
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

/* Takes the pages' stage-2 entries away, and with `evict` their residency too. */
static inline void zap(vm_t *vm, const u32 *list, u32 n, u32 evict)
{
	for (u32 i = 0; i < n; i++) {
		u32 g = list[i], s;
		vm->spte[g] = 0;
		if (!evict || (s = find_slot(vm, g)) == INVALID) continue;
		u32 h = vm->slots[s].hvn + (g - vm->slots[s].gfn);
		vm->res[h >> 5] &= ~(1u << (h & 31));
		vm->swp[h >> 5] |= 1u << (h & 31);
	}
	tlb_flush(vm);
}

/* FNV-1a over the exit ring and the counters: equal digests, equal work. */
static inline u32 digest(vm_t *vm)
{
	u32 h = 2166136261u;
	for (u32 i = 0; i < RING * 4; i++) h = (h ^ vm->ring[i]) * 16777619u;
	for (u32 i = 0; i < NSTAT; i++) h = (h ^ vm->stat[i]) * 16777619u;
	return h;
}

/* Slot 0 is RAM at gfn 0; the others are ROM slots from rom_gfn on, `gap` pages apart, each with a VMA of its own. */
static inline void vm_layout(vm_t *vm, u32 nslots, u32 ram_pages, u32 rom_gfn, u32 rom_pages, u32 gap)
{
	u32 hvn = 1024;
	for (u32 s = 0; s < nslots; s++) {
		slot_t *a = &vm->slots[s];
		vma_t *v = &vm->vmas[s];
		a->gfn = s ? rom_gfn + (s - 1) * gap : 0;
		a->npages = s ? rom_pages : ram_pages;
		a->hvn = v->start = hvn;
		a->flags = s ? SLOT_RO : 0;
		v->end = hvn + a->npages;
		v->flags = s ? VMA_R : VMA_R | VMA_W;
		hvn += a->npages + 16;
	}
	vm->nslots = vm->nvmas = nslots;
	tlb_flush(vm);
}

#endif
