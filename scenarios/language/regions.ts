/** What a scenario declares of the guest's physical memory; how a strategy lays a ROM out is not its business. */
import { PAGE_SIZE } from '../../engine/abi.ts';
import type { DeviceFactory } from '../../engine/vmm/devices/device.ts';
import type { Region } from '../../engine/vmm/place.ts';

/** The regions of a scenario by name. */
export type Memory = Readonly<Record<string, Region>>;

type Options = Partial<Omit<Region, 'kind' | 'at' | 'bytes'>>;

/** Read-only memory, `bytes` long at `at`, laid out the strategy's way; random bytes unless told otherwise. */
export const rom = (at: number, bytes: number, options: Options = {}): Region => ({
  kind: 'rom',
  at,
  bytes,
  content: (n, random) => Uint8Array.from({ length: n }, random),
  ...options,
});

/** Memory the guest may write. */
export const ram = (at: number, bytes: number, options: Options = {}): Region => ({
  kind: 'ram',
  at,
  bytes,
  ...options,
});

/** Nothing at all: reads give 0xff, writes go nowhere. */
export const hole = (at: number, bytes: number): Region => ({ kind: 'hole', at, bytes });

/** Registers of a device, or a flash chip without a slot. */
export const device = (at: number, bytes: number, factory: DeviceFactory): Region => ({
  kind: 'device',
  at,
  bytes,
  device: factory,
});

/** The memory every guest has: code, page tables where needed, stack. */
export const LOW_RAM: Region = ram(0, 0x1_0000);
/** The name `LOW_RAM` goes by; a scenario cannot declare it. */
export const LOW = 'low';

/** Memory a scenario's guest may have, in bytes: each ROM is held four times while it is looked at. */
const MEMORY_MAX = 2 ** 28;

/** What is wrong with a scenario's memory, in one sentence, or undefined. */
export function checkMemory(memory: Memory): string | undefined {
  const all = Object.entries({ [LOW]: LOW_RAM, ...memory });
  if (memory[LOW] !== undefined) return `region name '${LOW}' is taken: every guest has it`;
  let memoryBytes = 0;
  for (const [name, r] of all) {
    const aligned = (n: number): boolean => Number.isSafeInteger(n) && n >= 0 && n % PAGE_SIZE === 0;
    if (!aligned(r.at) || !aligned(r.bytes) || r.bytes === 0) {
      return `region '${name}' is not made of whole pages (at ${hex(r.at)}, ${r.bytes} bytes)`;
    }
    if (r.kind !== 'hole' && r.kind !== 'device') memoryBytes += r.bytes;
    if (r.at + r.bytes > 2 ** 32) return `region '${name}' ends above 4 GiB`;
  }
  if (memoryBytes > MEMORY_MAX) {
    return `its regions hold ${Math.ceil(memoryBytes / 2 ** 20)} MiB of memory; the limit is ${MEMORY_MAX / 2 ** 20} MiB`;
  }
  const sorted = all.toSorted(([, a], [, b]) => a.at - b.at);
  for (const [i, [name, r]] of sorted.entries()) {
    const next = sorted[i + 1];
    if (next !== undefined && next[1].at < r.at + r.bytes) {
      return `regions '${name}' and '${next[0]}' overlap at ${hex(next[1].at)}`;
    }
  }
  return undefined;
}

const hex = (n: number): string => `0x${n.toString(16)}`;
