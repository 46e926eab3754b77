/** An ELF executable of one text segment and demand-zero memory: what the kernel needs to run it, and no more. */

/** Demand-zero memory: where, and how much. */
export interface ZeroSegment {
  readonly at: number;
  readonly bytes: number;
}

const PAGE = 4096;
const EHDR_BYTES = 64;
const PHDR_BYTES = 56;
const EM_X86_64 = 62;
const PT_LOAD = 1;
const PF_X = 1;
const PF_W = 2;
const PF_R = 4;

/** A static executable whose `text` lies at, and starts at, `textAt` (a multiple of the page size). */
export function elfExecutable(text: Uint8Array, textAt: number, zero: ZeroSegment): Uint8Array {
  const file = new Uint8Array(PAGE + text.length);
  const view = new DataView(file.buffer);
  const u16 = (at: number, value: number): void => view.setUint16(at, value, true);
  const u32 = (at: number, value: number): void => view.setUint32(at, value, true);
  const u64 = (at: number, value: number): void => view.setBigUint64(at, BigInt(value), true);
  // e_ident: ELF, 64 bits, little-endian, version 1.
  file.set([0x7f, 0x45, 0x4c, 0x46, 2, 1, 1]);
  u16(16, 2); // ET_EXEC
  u16(18, EM_X86_64);
  u32(20, 1);
  u64(24, textAt);
  u64(32, EHDR_BYTES); // program headers follow at once
  u16(52, EHDR_BYTES);
  u16(54, PHDR_BYTES);
  u16(56, 2);
  const segment = (
    i: number,
    flags: number,
    offset: number,
    at: number,
    inFile: number,
    bytes: number,
  ): void => {
    const p = EHDR_BYTES + i * PHDR_BYTES;
    u32(p, PT_LOAD);
    u32(p + 4, flags);
    u64(p + 8, offset);
    u64(p + 16, at);
    u64(p + 24, at);
    u64(p + 32, inFile);
    u64(p + 40, bytes);
    u64(p + 48, PAGE);
  };
  segment(0, PF_R | PF_X, PAGE, textAt, text.length, text.length);
  segment(1, PF_R | PF_W, 0, zero.at, 0, zero.bytes);
  file.set(text, PAGE);
  return file;
}
