/** Decoded instructions by page of memory: decoded once, forgotten when the page's bytes may have changed. */

import { movbe } from '../exec/integer/exec-bits.ts';
import { undefinedOpcode } from '../exec/system/exec-system.ts';
import { decode, MAX_INSN_LENGTH } from '../insn/decode.ts';
import type { Executable } from '../insn/executable.ts';
import { MAP_0F38 } from '../insn/insn.ts';
import { CPU_OK, type CpuBus } from '../ports.ts';
import { MODE_LONG64, MODE_PROT32 } from '../regs.ts';

const PAGE = 4096;
/** What looking at a page of code anew costs this core, in instructions; and decoding one that cannot be kept. */
const PAGE_COST = 2048;
const DECODE_COST = 1024;
/** Pages kept; a guest with more code than this starts over. */
const MAX_PAGES = 512;

/**
 * MOVBE and CRC32 in 16-bit code: QEMU's processor takes 66 to mean 16 bits, and its absence 32, as if code were
 * 32-bit. The recordings are full of it.
 */
function resize(i: Executable): void {
  const size = i.opsize ? 2 : 4;
  if (i.opcode === 0xf1) i.size1 = size;
  if (i.exec === movbe) i.size = size;
}

/** One page's instructions, by offset of their first byte. */
export class CodePage {
  readonly id: number;
  version = -1;
  mode = -1;
  readonly insns: (Executable | undefined)[] = new Array<Executable | undefined>(PAGE).fill(undefined);

  constructor(id: number) {
    this.id = id;
  }
}

/** Decoded instructions by page of memory; a page whose bytes may have changed is decoded anew. */
export class CodeCache {
  readonly #bus: CpuBus;
  readonly #pages = new Map<number, CodePage>();
  readonly #bytes = new Uint8Array(MAX_INSN_LENGTH);
  /** Work that no instruction shows: what was decoded before and had to be again, in instructions. */
  work = 0;

  constructor(bus: CpuBus) {
    this.#bus = bus;
  }

  /** The page that `linear` lies in, or undefined with `bus.stop` set if it cannot be executed. */
  enter(linear: number, mode: number): CodePage | undefined {
    const bus = this.#bus;
    const id = bus.codePage(linear);
    if (id < 0) return undefined;
    let page = this.#pages.get(id);
    if (page === undefined) {
      if (this.#pages.size >= MAX_PAGES) {
        this.#pages.clear();
        this.work += MAX_PAGES * PAGE_COST;
      }
      page = new CodePage(id);
      this.#pages.set(id, page);
    }
    const version = bus.codeVersion(id);
    if (page.version !== version || page.mode !== mode) {
      if (page.version >= 0) this.work += PAGE_COST;
      page.version = version;
      page.mode = mode;
      page.insns.fill(undefined);
    }
    return page;
  }

  /**
   * Decodes at `linear`, which lies in `page`, the page entered last. Undefined, with `bus.stop` set, if the
   * instruction goes on in a page that cannot be executed.
   */
  decodeAt(page: CodePage, linear: number, nextLinear: number): Executable | undefined {
    const bus = this.#bus;
    const bytes = this.#bytes;
    const off = linear % PAGE;
    const n = Math.min(MAX_INSN_LENGTH, PAGE - off);
    bus.fetch(linear, bytes, 0, n);
    let i = decode(bytes.subarray(0, n), page.mode);
    if (i.truncated && n < MAX_INSN_LENGTH) {
      if (bus.codePage(nextLinear) < 0) return undefined;
      bus.fetch(nextLinear, bytes, n, MAX_INSN_LENGTH - n);
      i = decode(bytes, page.mode);
      i.straddles = true;
      bus.codePage(linear);
    }
    bus.stop = CPU_OK;
    if (i.invalid || (i.lock && !i.lockable)) {
      i.exec = undefinedOpcode;
      i.fast = 0;
    }
    if (i.map === MAP_0F38 && i.opcode >= 0xf0 && page.mode !== MODE_PROT32 && page.mode !== MODE_LONG64)
      resize(i);
    if (!i.straddles) page.insns[off] = i;
    else this.work += DECODE_COST;
    return i;
  }
}
