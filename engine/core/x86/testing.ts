/** Test support: flat memory as a `CpuBus`, with refusals on demand. Nothing in the engine imports this. */
import {
  CPU_EXIT_NPF,
  CPU_OK,
  type CpuBus,
  type EmulateOps,
  X86EMUL_CMPXCHG_FAILED,
  X86EMUL_CONTINUE,
} from './ports.ts';

const PAGE = 4096;

/** Flat memory as a processor sees it, with pages that tests may refuse. */
export class FlatBus implements CpuBus {
  stop = CPU_OK;
  faultAddress = 0;
  faultCode = 0;
  readonly buf = new Uint8Array(64);
  readonly mem: Uint8Array;
  readonly #view: DataView;
  readonly #versions: Int32Array;
  /** Number of data accesses so far, and the one (from 1) to refuse once; 0 refuses none. */
  accesses = 0;
  refuseAt = 0;

  constructor(size: number) {
    this.mem = new Uint8Array(size);
    this.#view = new DataView(this.mem.buffer);
    this.#versions = new Int32Array(size / PAGE);
  }

  #allow(linear: number, n: number): boolean {
    this.accesses++;
    const refused = this.accesses === this.refuseAt || linear + n > this.mem.length;
    this.stop = refused ? CPU_EXIT_NPF : CPU_OK;
    return !refused;
  }

  #dirty(linear: number, n: number): void {
    const last = (linear + n - 1) >>> 12;
    for (let p = linear >>> 12; p <= last; p++) this.#versions[p]!++;
  }

  read8(linear: number): number {
    return this.#allow(linear, 1) ? this.mem[linear]! : 0;
  }

  read16(linear: number): number {
    return this.#allow(linear, 2) ? this.#view.getUint16(linear, true) : 0;
  }

  read32(linear: number): number {
    return this.#allow(linear, 4) ? this.#view.getInt32(linear, true) : 0;
  }

  write8(linear: number, value: number): void {
    if (!this.#allow(linear, 1)) return;
    this.mem[linear] = value;
    this.#versions[linear >>> 12]!++;
  }

  write16(linear: number, value: number): void {
    if (!this.#allow(linear, 2)) return;
    this.#view.setUint16(linear, value, true);
    this.#dirty(linear, 2);
  }

  write32(linear: number, value: number): void {
    if (!this.#allow(linear, 4)) return;
    this.#view.setInt32(linear, value, true);
    this.#dirty(linear, 4);
  }

  readN(linear: number, n: number): void {
    if (this.#allow(linear, n)) this.buf.set(this.mem.subarray(linear, linear + n));
  }

  writeN(linear: number, n: number): void {
    if (!this.#allow(linear, n)) return;
    this.mem.set(this.buf.subarray(0, n), linear);
    this.#dirty(linear, n);
  }

  codePage(linear: number): number {
    this.stop = linear < this.mem.length ? CPU_OK : CPU_EXIT_NPF;
    return this.stop === CPU_OK ? linear >>> 12 : -1;
  }

  codeVersion(page: number): number {
    return this.#versions[page]!;
  }

  fetch(linear: number, into: Uint8Array, at: number, n: number): void {
    into.set(this.mem.subarray(linear, linear + n), at);
  }
}

/** The same flat memory as `x86_emulate_ops`: everything is memory, ports answer nothing. */
export class FlatOps implements EmulateOps {
  readonly buf = new Uint8Array(64);
  readonly old = new Uint8Array(64);
  faultVector = 0;
  faultCode = 0;
  faultAddress = 0;
  /** Loads and stores in order, as `r` or `w` (`l`: locked), address and length. */
  readonly log: string[] = [];
  readonly #bus: FlatBus;

  constructor(bus: FlatBus) {
    this.#bus = bus;
  }

  #get(linear: number, n: number): number {
    this.buf.set(this.#bus.mem.subarray(linear, linear + n));
    return X86EMUL_CONTINUE;
  }

  #put(kind: string, linear: number, n: number): number {
    this.log.push(`${kind} ${linear.toString(16)} ${n}`);
    this.#bus.mem.set(this.buf.subarray(0, n), linear);
    return X86EMUL_CONTINUE;
  }

  fetch(linear: number, n: number): number {
    return this.#get(linear, n);
  }

  readStd(linear: number, n: number): number {
    return this.#get(linear, n);
  }

  writeStd(linear: number, n: number): number {
    return this.#put('w', linear, n);
  }

  readEmulated(linear: number, n: number): number {
    this.log.push(`r ${linear.toString(16)} ${n}`);
    return this.#get(linear, n);
  }

  writeEmulated(linear: number, n: number): number {
    return this.#put('w', linear, n);
  }

  cmpxchgEmulated(linear: number, n: number): number {
    for (let k = 0; k < n; k++) {
      if (this.#bus.mem[linear + k] !== this.old[k]) return X86EMUL_CMPXCHG_FAILED;
    }
    return this.#put('l', linear, n);
  }

  pioIn(_size: number, _port: number, _count: number): number {
    return 0;
  }

  pioOut(_size: number, _port: number, _count: number): number {
    return 0;
  }

  halt(): void {
    this.log.push('hlt');
  }
}
