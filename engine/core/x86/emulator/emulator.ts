/**
 * KVM's instruction emulator, `x86_decode_insn()` and `x86_emulate_insn()` of Linux 6.1. It executes the same
 * handlers as the guest CPU, over a copy of the general registers that is written back only on success.
 */

import { comparisonEnds, repeatCount, setRepeatCount } from '../exec/integer/exec-string.ts';
import { undefinedOpcode } from '../exec/system/exec-system.ts';
import { decode, MAX_INSN_LENGTH } from '../insn/decode.ts';
import { Executable } from '../insn/executable.ts';
import { K_MEM } from '../insn/insn.ts';
import {
  EMULATION_FAILED,
  EMULATION_OK,
  EMULATION_RESTART,
  EMULATION_UNSUPPORTED,
  type EmulateOps,
  X86EMUL_CONTINUE,
  X86EMUL_PROPAGATE_FAULT,
} from '../ports.ts';
import { Processor } from '../processor.ts';
import { EXCEPTION, UNHANDLEABLE, UNSUPPORTED, VECTOR_GP, VECTOR_PF, VECTOR_UD } from '../processor-port.ts';
import { CS, isCanonical, linearOf, MODE_LONG64, type Regs, RF } from '../regs.ts';
import { EmulatorPort } from './emulator-memory.ts';
import { kvmMarks, marksUndefined, T_LOCK, T_ON_UD, T_PAGE_TABLE, T_TWO_MEM } from './kvm-table.ts';

/** Iterations after which a repeated string instruction goes back to the guest: when these bits of RCX are 0. */
const REENTER_MASK = 0x3ff;
const CACHE_ENTRIES = 64;
const PAGE = 4096;

export class Emulator {
  readonly #regs: Regs;
  readonly #ops: EmulateOps;
  readonly #port: EmulatorPort;
  readonly #m: Processor;
  /** The instruction decoded last. */
  insn = new Executable(undefinedOpcode);
  #marks = 0;
  /** Bytes fetched, up to 15 and usually more than the instruction has; how many. */
  readonly fetched = new Uint8Array(MAX_INSN_LENGTH);
  fetchedLength = 0;
  /** An exception is to be injected: vector, error code (-1: has none), and CR2 for a page fault. */
  haveException = false;
  vector = 0;
  errorCode = -1;
  faultAddress = 0;
  /** To commit when the instruction is done: rip and rflags. */
  eip = 0;
  eflags = 0;
  // Decoded instructions by address, held against the bytes fetched.
  readonly #cache: (Executable | undefined)[] = new Array<Executable | undefined>(CACHE_ENTRIES).fill(
    undefined,
  );
  readonly #cacheMode = new Int8Array(CACHE_ENTRIES);
  readonly #cacheBytes = new Uint8Array(CACHE_ENTRIES * MAX_INSN_LENGTH);

  constructor(regs: Regs, ops: EmulateOps) {
    this.#regs = regs;
    this.#ops = ops;
    this.#port = new EmulatorPort(ops);
    this.#m = new Processor(regs, this.#port);
    this.#port.m = this.#m;
    this.#m.gpr = new Int32Array(regs.gpr.length);
  }

  /** `ctxt->d & PageTable`: retry_instruction() must not skip it. */
  get pageTableTagged(): boolean {
    return (this.#marks & T_PAGE_TABLE) !== 0;
  }

  /** `ctxt->ud && EmulateOnUD`: may be emulated after #UD. */
  get emulateOnUd(): boolean {
    return (this.#marks & T_ON_UD) !== 0;
  }

  /** `emulator_can_use_gpa()`: the fault's address is that of the one memory operand. */
  canUseGpa(): boolean {
    const repeated = this.insn.string && this.insn.rep !== 0;
    return !repeated && (this.#marks & T_TWO_MEM) === 0;
  }

  /** Forgets what the instruction has read. */
  resetReadCache(): void {
    this.#port.resetReadCache();
  }

  /** Starts on the instruction at rip: EMULATION_OK, or EMULATION_FAILED (with `haveException`, perhaps). */
  decode(): number {
    const regs = this.#regs;
    this.haveException = false;
    this.eip = regs.rip;
    this.#m.setFlags(regs.eflags);
    this.eflags = regs.eflags;
    this.#port.resetReadCache();
    this.#port.resetPio();
    this.#marks = 0;
    this.fetchedLength = 0;
    if (this.#fetchMore() !== X86EMUL_CONTINUE) return EMULATION_FAILED;
    let i = this.#lookUp();
    if (i === undefined) {
      i = decode(this.fetched.subarray(0, this.fetchedLength), regs.mode);
      if (i.truncated && this.fetchedLength < MAX_INSN_LENGTH) {
        if (this.#fetchMore() !== X86EMUL_CONTINUE) return EMULATION_FAILED;
        i = decode(this.fetched.subarray(0, this.fetchedLength), regs.mode);
      }
      this.#remember(i);
    }
    this.insn = i;
    if (i.invalid) return EMULATION_FAILED;
    this.#marks = kvmMarks(i, regs.mode);
    return this.#marks === 0 ? EMULATION_FAILED : EMULATION_OK;
  }

  /** `__do_insn_fetch_bytes()`: as much as the page and the longest instruction allow. */
  #fetchMore(): number {
    const m = this.#m;
    const regs = this.#regs;
    const have = this.fetchedLength;
    const long = regs.mode === MODE_LONG64;
    if (long && !isCanonical(regs.rip + have)) return this.#raise(m.raise(VECTOR_GP, 0));
    const at = long ? linearOf(regs.rip + have) : regs.segBase[CS]! + regs.rip + have;
    const n = Math.min(MAX_INSN_LENGTH - have, PAGE - (at % PAGE));
    const rc = this.#ops.fetch(at, n);
    if (rc === X86EMUL_PROPAGATE_FAULT) this.#raise(m.raise(this.#ops.faultVector, this.#ops.faultCode));
    if (rc !== X86EMUL_CONTINUE) return rc;
    for (let k = 0; k < n; k++) this.fetched[have + k] = this.#ops.buf[k]!;
    this.fetchedLength += n;
    return rc;
  }

  #lookUp(): Executable | undefined {
    const slot = Math.abs(this.#regs.rip % CACHE_ENTRIES);
    const i = this.#cache[slot];
    if (i === undefined || this.#cacheMode[slot] !== this.#regs.mode) return undefined;
    if (i.len > this.fetchedLength) return undefined;
    for (let k = 0; k < i.len; k++) {
      if (this.#cacheBytes[slot * MAX_INSN_LENGTH + k] !== this.fetched[k]) return undefined;
    }
    return i;
  }

  #remember(i: Executable): void {
    if (i.invalid) return;
    const slot = Math.abs(this.#regs.rip % CACHE_ENTRIES);
    this.#cache[slot] = i;
    this.#cacheMode[slot] = this.#regs.mode;
    for (let k = 0; k < i.len; k++) this.#cacheBytes[slot * MAX_INSN_LENGTH + k] = this.fetched[k]!;
  }

  /** Publishes the machine's exception. */
  #raise(code: number): number {
    const m = this.#m;
    this.haveException = true;
    this.vector = m.vector;
    this.errorCode = m.errorCode;
    if (m.vector === VECTOR_PF) this.faultAddress = this.#ops.faultAddress;
    return code;
  }

  /** `x86_emulate_insn()`: EMULATION_OK (done, or to be done again), _FAILED, or _RESTART. */
  execute(): number {
    const m = this.#m;
    const i = this.insn;
    this.haveException = false;
    m.gpr.set(this.#regs.gpr);
    this.#port.rewind();
    m.nextRip = this.#nextRip(i);
    const status = this.#run(i);
    this.eflags = m.getFlags();
    if (status === EXCEPTION) this.#raise(status);
    else if (status === EMULATION_RESTART_STATUS) return EMULATION_RESTART;
    else if (status === UNSUPPORTED) return EMULATION_UNSUPPORTED;
    return status === UNHANDLEABLE ? EMULATION_FAILED : EMULATION_OK;
  }

  #nextRip(i: Executable): number {
    const next = this.#regs.rip + i.len;
    return this.#regs.mode === MODE_LONG64 ? next : next >>> 0;
  }

  /** Checks, executes, and commits if all went well. */
  #run(i: Executable): number {
    const m = this.#m;
    if (marksUndefined(this.#marks, this.#regs.mode)) return m.raise(VECTOR_UD, -1);
    if (i.lock && ((this.#marks & T_LOCK) === 0 || i.k0 !== K_MEM)) return m.raise(VECTOR_UD, -1);
    if (i.exec === undefinedOpcode) return UNHANDLEABLE;
    const repeated = i.string && i.rep !== 0;
    if (!repeated || repeatCount(m, i) !== 0) {
      const status = i.exec(m, i);
      if (status !== 0) return status;
      if (repeated) {
        setRepeatCount(m, i, repeatCount(m, i) - this.#port.count);
        if (!comparisonEnds(m, i)) return this.#goOn(i);
      }
    }
    m.otherFlags &= ~RF;
    this.#commit();
    this.eip = m.nextRip;
    return 0;
  }

  /** An element is done and more may follow: at once, or after another visit to the guest, with rip unmoved. */
  #goOn(i: Executable): number {
    const port = this.#port;
    this.#commit();
    const reads = port.pioEnd !== 0;
    const again = reads ? port.pioEnd !== port.pioPos : (repeatCount(this.#m, i) & REENTER_MASK) !== 0;
    if (!again) return 0;
    port.resetReadCache();
    return EMULATION_RESTART_STATUS;
  }

  #commit(): void {
    this.#regs.gpr.set(this.#m.gpr);
  }
}

/** Handlers' results do not include this: a string instruction wants its next element. */
const EMULATION_RESTART_STATUS = 64;
