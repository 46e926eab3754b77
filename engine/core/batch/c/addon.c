/* The C port as a Node-API addon, so that its slices and the core's can alternate at millisecond steps in one process. */
#include <node_api.h>
#include <stdlib.h>
#include <string.h>
#include "core.h"

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

/* make(policy, slots, ramPages, romGfn, romPages, gap, frames): a VM's number. */
static napi_value make(napi_env env, napi_callback_info info)
{
	u32 a[7] = { 0 }, id = 0, host;
	vm_t *vm = calloc(1, sizeof *vm);
	take(env, info, 7, a);
	while (id < MAX_VMS && vms[id]) id++;
	if (id == MAX_VMS || !vm) {
		napi_throw_error(env, 0, "no room for another VM");
		return 0;
	}
	vm->policy = a[0];
	vm->max_gfn = a[3] + a[1] * a[5] + a[4];
	if (vm->max_gfn < a[2]) vm->max_gfn = a[2];
	host = 1024 + a[2] + a[1] * (a[4] + 16) + 64;
	vm->spte = calloc(vm->max_gfn, 4);
	vm->slots = calloc(a[1], sizeof(slot_t));
	vm->vmas = calloc(a[1], sizeof(vma_t));
	vm->res = calloc(host / 32 + 1, 4);
	vm->swp = calloc(host / 32 + 1, 4);
	vm->frame_of = calloc(host, 4);
	vm->mem = aligned_alloc(4096, (size_t)a[6] << 12);
	memset(vm->mem, 0, (size_t)a[6] << 12);
	vm->nframes = a[6];
	vm_layout(vm, a[1], a[2], a[3], a[4], a[5]);
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
	void *data;
	napi_get_cb_info(env, info, &n, &v, 0, 0);
	napi_get_typedarray_info(env, v, 0, &length, &data, 0, 0);
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

static napi_value digest_of(napi_env env, napi_callback_info info)
{
	u32 id = 0;
	take(env, info, 1, &id);
	return give(env, digest(vms[id]));
}

NAPI_MODULE_INIT()
{
	static const struct { const char *name; napi_callback call; } calls[] = {
		{ "make", make }, { "drop", drop }, { "list", list }, { "runReads", reads },
		{ "runWrites", writes }, { "zap", zap_pages }, { "digest", digest_of },
	};
	for (size_t i = 0; i < sizeof calls / sizeof *calls; i++) {
		napi_value f;
		napi_create_function(env, calls[i].name, NAPI_AUTO_LENGTH, calls[i].call, 0, &f);
		napi_set_named_property(env, exports, calls[i].name, f);
	}
	return exports;
}
