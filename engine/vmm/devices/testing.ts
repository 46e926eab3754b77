/** Test support: a flash chip of any model over plain bytes. */
import type { FlashModel, PflashSpec } from './cfi.ts';
import { pflash } from './pflash.ts';

/** A chip over these bytes, or so many erased ones, with the counts a VMM would keep. */
export function chip(
  of: number | Uint8Array,
  readOnly = false,
  model: FlashModel = 'qemu-9',
  more: Partial<PflashSpec> = {},
) {
  const memory = typeof of === 'number' ? new Uint8Array(of).fill(0xff) : of;
  const bytes = memory.length;
  const seen = { writes: 0, slotOps: 0, romd: true };
  const flash = pflash({ blockBytes: 0x1000, readOnly, model, ...more })({
    bytes,
    get: (offset) => memory[offset] ?? 0,
    set: (offset, value) => {
      memory[offset] = value;
    },
    romd(on) {
      seen.slotOps += 1;
      seen.romd = on;
    },
  });
  const data = new Uint8Array(8);
  return {
    memory,
    seen,
    flash,
    write(offset: number, value: number, len = 1): void {
      new DataView(data.buffer).setUint32(0, value, true);
      seen.writes += 1;
      flash.write(offset, len, data);
    },
    read(offset: number, len = 1): number {
      data.fill(0);
      flash.read(offset, len, data);
      return new DataView(data.buffer).getUint32(0, true);
    },
  };
}
