/* The C port as a Node-API addon, so that its slices and the core's can alternate at millisecond steps in one process. */
#include <node_api.h>
#include <stdlib.h>
#include <string.h>
#include "account.h"

#define MAX_VMS 64
#define MAX_LISTS 256

static vm_t *vms[MAX_VMS];
static u32 *lists[MAX_LISTS];
static u32 nlists;

static void take(napi_env env, napi_callback_info info, size_t n, u32 *out)
{
	napi_value v[8];
	napi_get_cb_info(env, info, &n, v, 0, 0);
	for (size_t i = 0; i < n; i++) napi_get_value_uint32(env, v[i], &out[i]);
}

static napi_value give(napi_env env, u32 x)
{
	napi_value v;
	napi_create_uint32(env, x, &v);
	return v;
}

/* The array behind a typed array of 32-bit numbers, and how many they are. */
static u32 *numbers(napi_env env, napi_value v, size_t *length)
{
	void *data;
	napi_get_typedarray_info(env, v, 0, length, &data, 0, 0);
	return data;
}

/* make(policy, Int32Array layout): a VM's number. */
static napi_value make(napi_env env, napi_callback_info info)
{
	u32 id = 0, slots, host;
	size_t n = 2, length;
	napi_value v[2];
	layout_t l;
	vm_t *vm = calloc(1, sizeof *vm);
	napi_get_cb_info(env, info, &n, v, 0, 0);
	u32 *layout = numbers(env, v[1], &length);
	while (id < MAX_VMS && vms[id]) id++;
	if (id == MAX_VMS || !vm || length * 4 != sizeof l) {
		free(vm);
		napi_throw_error(env, 0, length * 4 == sizeof l ? "no room for another VM" : "not a layout");
		return 0;
	}
	memcpy(&l, layout, sizeof l);
	napi_get_value_uint32(env, v[0], &vm->policy);
	slots = l.roms + 1;
	vm->max_gfn = l.rom_gfn + slots * l.gap + l.rom_pages;
	if (vm->max_gfn < l.ram_pages) vm->max_gfn = l.ram_pages;
	host = l.mmap_base + l.ram_pages + slots * (l.rom_pages + l.mmap_gap) + 64;
	vm->spte = calloc(vm->max_gfn, 4);
	vm->slots = calloc(slots, sizeof(slot_t));
	vm->vmas = calloc(slots, sizeof(vma_t));
	vm->res = calloc(host / 32 + 1, 4);
	vm->swp = calloc(host / 32 + 1, 4);
	vm->own = calloc(host / 32 + 1, 4);
	vm->frame_of = calloc(host, 4);
	vm->mem = aligned_alloc(4096, (size_t)l.frames << 12);
	memset(vm->mem, 0, (size_t)l.frames << 12);
	vm->nframes = l.frames;
	vm_layout(vm, &l);
	vms[id] = vm;
	return give(env, id);
}

/* drop(vm): gives its memory back. */
static napi_value drop(napi_env env, napi_callback_info info)
{
	u32 id = 0;
	take(env, info, 1, &id);
	vm_t *vm = vms[id];
	vms[id] = 0;
	free(vm->spte);
	free(vm->slots);
	free(vm->vmas);
	free(vm->res);
	free(vm->swp);
	free(vm->own);
	free(vm->frame_of);
	free(vm->mem);
	free(vm);
	return give(env, 0);
}

/* list(Int32Array): a list's number; the list is copied. */
static napi_value list(napi_env env, napi_callback_info info)
{
	size_t n = 1, length;
	napi_value v;
	napi_get_cb_info(env, info, &n, &v, 0, 0);
	u32 *data = numbers(env, v, &length);
	if (nlists == MAX_LISTS) {
		napi_throw_error(env, 0, "no room for another list");
		return 0;
	}
	lists[nlists] = malloc(length * 4);
	memcpy(lists[nlists], data, length * 4);
	return give(env, nlists++);
}

static napi_value reads(napi_env env, napi_callback_info info)
{
	u32 a[4];
	take(env, info, 4, a);
	return give(env, run_reads(vms[a[0]], lists[a[1]], a[2], a[3]));
}

static napi_value writes(napi_env env, napi_callback_info info)
{
	u32 a[4];
	take(env, info, 4, a);
	return give(env, run_writes(vms[a[0]], lists[a[1]], a[2], a[3]));
}

static napi_value zap_pages(napi_env env, napi_callback_info info)
{
	u32 a[4];
	take(env, info, 4, a);
	zap(vms[a[0]], lists[a[1]], a[2], a[3]);
	return give(env, 0);
}

/* A copy of `n` numbers as an Int32Array. */
static napi_value copied(napi_env env, const u32 *from, size_t n)
{
	napi_value buffer, array;
	void *data;
	napi_create_arraybuffer(env, n * 4, &data, &buffer);
	memcpy(data, from, n * 4);
	napi_create_typedarray(env, napi_int32_array, n, buffer, 0, &array);
	return array;
}

/* events(vm): the ring, four numbers an event. */
static napi_value events(napi_env env, napi_callback_info info)
{
	u32 id = 0;
	take(env, info, 1, &id);
	return copied(env, vms[id]->ring, RING * 4);
}

/* words(vm): how often each fault word was met. */
static napi_value words(napi_env env, napi_callback_info info)
{
	u32 id = 0, sums[FACT_WORDS];
	take(env, info, 1, &id);
	for (u32 i = 0; i < FACT_WORDS; i++) sums[i] = vms[id]->words[i] + vms[id]->words[i + FACT_WORDS];
	return copied(env, sums, FACT_WORDS);
}

/* steps(vm): in the order of stepNames. */
static napi_value steps(napi_env env, napi_callback_info info)
{
	u32 id = 0, sums[NSTEPS];
	take(env, info, 1, &id);
	account(vms[id], sums);
	return copied(env, sums, NSTEPS);
}

static napi_value named(napi_env env, const char *const *names, size_t n)
{
	napi_value array, name;
	napi_create_array_with_length(env, n, &array);
	for (size_t i = 0; i < n; i++) {
		napi_create_string_utf8(env, names[i], NAPI_AUTO_LENGTH, &name);
		napi_set_element(env, array, i, name);
	}
	return array;
}

NAPI_MODULE_INIT()
{
	static const struct { const char *name; napi_callback call; } calls[] = {
		{ "make", make }, { "drop", drop }, { "list", list }, { "runReads", reads }, { "runWrites", writes },
		{ "zap", zap_pages }, { "events", events }, { "words", words }, { "steps", steps },
	};
	for (size_t i = 0; i < sizeof calls / sizeof *calls; i++) {
		napi_value f;
		napi_create_function(env, calls[i].name, NAPI_AUTO_LENGTH, calls[i].call, 0, &f);
		napi_set_named_property(env, exports, calls[i].name, f);
	}
	napi_set_named_property(env, exports, "policyNames", named(env, POLICY_NAMES, NPOL));
	napi_set_named_property(env, exports, "stepNames", named(env, STEP_NAMES, NSTEPS));
	return exports;
}
