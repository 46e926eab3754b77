/** Test support: flat memory as a `CpuBus`, with refusals on demand. Nothing in the engine imports this. */
import { CPU_EXIT_NPF, CPU_OK, type CpuBus } from './ports.ts';

const PAGE = 4096;

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
