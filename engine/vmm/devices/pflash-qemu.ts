/**
 * QEMU's flash chip (`pflash_cfi01` of 9.x; 8.1.5 has the same). It does what a real chip would not: a block is erased
 * at the first of the two erase cycles, and clearing the status returns to array mode. A store is one cycle whatever
 * its width, up to four bytes; a buffered write is staged and lands only when it is confirmed (commit 284a7ee2e290).
 */

import {
  BLOCK_ERASE,
  CFI_QUERY,
  CLEAR_STATUS,
  CONFIRM,
  type Flash,
  LOCK_BLOCK,
  LOCK_SETUP,
  type PflashSpec,
  PROGRAM_BYTE,
  PROGRAM_BYTE_ALT,
  READ_ARRAY,
  READ_ID,
  READ_STATUS,
  STATUS_ERASE_FAILED,
  STATUS_PROGRAM_FAILED,
  STATUS_READY,
  WRITE_BUFFER,
} from './cfi.ts';
import { cfiTable } from './cfi-table.ts';
import type { DeviceHost } from './device.ts';

/** QEMU hands a device at most four bytes at a time. */
const ACCESS_BYTES = 4;
/** Command 0 is this model's own word for array mode. */
const ARRAY = 0;

/** The chip of one run. */
export class QemuFlash implements Flash {
  readonly counts = { programs: 0, erases: 0 };
  private readonly host: DeviceHost;
  private readonly spec: PflashSpec;
  private readonly cfi: Uint8Array;
  /** Bytes of the write buffer. */
  private readonly bufferBytes: number;
  /** The command being carried out, and which write of it comes next (`wcycle`). */
  private command = ARRAY;
  private cycle = 0;
  private status = STATUS_READY;
  /** Data writes that a buffered write still expects after the next one. */
  private counter = 0;
  /** The block that a buffered write stages, and where it lies. */
  private staged: { readonly at: number; readonly bytes: Uint8Array } | undefined;
  private romd = true;

  constructor(host: DeviceHost, spec: PflashSpec) {
    this.host = host;
    this.spec = spec;
    const { width = 1, deviceWidth = 0, blockBytes } = spec;
    this.cfi = cfiTable({ bytes: host.bytes, blockBytes, width, deviceWidth });
    this.bufferBytes = (width === 1 ? 0x100 : 0x800) * (deviceWidth > 0 ? width / deviceWidth : 1);
  }

  read(offset: number, len: number, data: Uint8Array): void {
    for (let i = 0; i < len; i += ACCESS_BYTES) {
      const n = Math.min(ACCESS_BYTES, len - i);
      const value = this.readWord(offset + i, n);
      for (let k = 0; k < n; k++) data[i + k] = value >>> (8 * k);
    }
  }

  write(offset: number, len: number, data: Uint8Array): void {
    for (let i = 0; i < len; i += ACCESS_BYTES) {
      this.writeWord(offset + i, data.subarray(i, Math.min(len, i + ACCESS_BYTES)));
    }
  }

  private readWord(offset: number, n: number): number {
    switch (this.command) {
      case ARRAY:
        return this.array(offset, n);
      case READ_ID:
        return this.perBank(offset, n, (at) => this.id(at));
      case CFI_QUERY:
        return this.perBank(offset, n, (at) => this.cfi[at] ?? 0);
      default:
        return this.statusWord(n);
    }
  }

  private array(offset: number, n: number): number {
    let value = 0;
    for (let k = 0; k < n; k++) value |= this.host.get(offset + k) << (8 * k);
    return value;
  }

  /** The status of each chip beside the other; without a device width, of two chips in a wide read. */
  private statusWord(n: number): number {
    const { deviceWidth = 0 } = this.spec;
    if (deviceWidth === 0) return n > 2 ? this.status | (this.status << 16) : this.status;
    let value = this.status;
    for (let k = deviceWidth; k + deviceWidth <= n; k += deviceWidth) value |= this.status << (8 * k);
    return value;
  }

  /** Answers an id or a query: by the table's index without a device width, else bank by bank for every chip. */
  private perBank(offset: number, n: number, entry: (index: number) => number): number {
    const { width = 1, deviceWidth = 0 } = this.spec;
    if (deviceWidth === 0) return entry(Math.floor((offset & 0xff) / width));
    let value = 0;
    for (let i = 0; i < n; i += width) {
      const answer = entry(Math.floor((offset + i) / width) & 0xff);
      for (let k = 0; k < width; k += deviceWidth) value |= answer << (8 * (i + k));
    }
    return value;
  }

  private id(index: number): number {
    const { ids = [0, 0, 0, 0], deviceWidth = 0 } = this.spec;
    if (deviceWidth > 0) return index < 2 ? (ids[index] ?? 0) : 0;
    return index < 2 ? ((ids[2 * index] ?? 0) << 8) | (ids[2 * index + 1] ?? 0) : 0;
  }

  private writeWord(offset: number, data: Uint8Array): void {
    const byte = data[0] ?? 0;
    // Whatever the command is, the guest loses direct access first.
    if (this.cycle === 0) this.setRomd(false);
    if (this.cycle === 0) this.firstCycle(offset, byte);
    else if (this.cycle === 1) this.secondCycle(offset, byte, data);
    else if (this.cycle === 2) this.bufferData(offset, data);
    else this.confirmBuffer(byte);
  }

  private firstCycle(offset: number, byte: number): void {
    switch (byte) {
      case BLOCK_ERASE:
        this.erase(offset);
        this.begin(byte);
        break;
      case WRITE_BUFFER:
        this.status |= STATUS_READY;
        this.begin(byte);
        break;
      case PROGRAM_BYTE:
      case PROGRAM_BYTE_ALT:
      case LOCK_SETUP:
      case CFI_QUERY:
        this.begin(byte);
        break;
      case READ_STATUS:
      case READ_ID:
        this.command = byte;
        break;
      case CLEAR_STATUS:
        this.status = 0;
        this.readArray();
        break;
      // ARRAY, READ_ARRAY and the probe for AMD chips mean it; anything else is a sequence that the model does not have.
      default:
        this.readArray();
    }
  }

  private secondCycle(offset: number, byte: number, data: Uint8Array): void {
    switch (this.command) {
      case PROGRAM_BYTE:
      case PROGRAM_BYTE_ALT:
        this.program(offset, data);
        this.done();
        break;
      case BLOCK_ERASE:
        if (byte === CONFIRM) this.done();
        else this.readArray();
        break;
      case LOCK_SETUP:
        // Locks are taken and not kept.
        if (byte === CONFIRM || byte === LOCK_BLOCK) this.done();
        else this.readArray();
        break;
      case WRITE_BUFFER:
        this.counter = this.wordCount(data);
        this.cycle = 2;
        break;
      default:
        // In query mode anything but the return to array mode is ignored.
        if (byte === READ_ARRAY) this.readArray();
    }
  }

  /** The number of data writes less one, in as many bytes as one chip is wide. */
  private wordCount(data: Uint8Array): number {
    const { width = 1, deviceWidth = 0 } = this.spec;
    const bytes = Math.min(deviceWidth || width, data.length);
    let value = 0;
    for (let k = 0; k < bytes; k++) value += (data[k] ?? 0) * 2 ** (8 * k);
    return value;
  }

  /** Data of a buffered write: it goes to the staged block, which the first of them chooses. */
  private bufferData(offset: number, data: Uint8Array): void {
    if (this.staged === undefined && this.counter > 0) this.stage(offset);
    const at = this.staged === undefined ? -1 : offset - this.staged.at;
    if (this.spec.readOnly || at < 0 || at + data.length > this.bufferBytes)
      this.status |= STATUS_PROGRAM_FAILED;
    else this.staged?.bytes.set(data, at);
    this.status |= STATUS_READY;
    if (this.counter === 0) this.cycle = 3;
    else this.counter -= 1;
  }

  private stage(offset: number): void {
    const at = offset - (offset % this.bufferBytes);
    const bytes = Uint8Array.from({ length: this.bufferBytes }, (_, i) => this.host.get(at + i));
    this.staged = { at, bytes };
  }

  /** The last write of a buffered one: the staged block lands, or is dropped. */
  private confirmBuffer(byte: number): void {
    if (byte !== CONFIRM || (this.status & STATUS_PROGRAM_FAILED) !== 0) {
      this.readArray();
      return;
    }
    const { staged } = this;
    staged?.bytes.forEach((value, i) => {
      this.host.set(staged.at + i, value);
    });
    this.counts.programs += 1;
    this.staged = undefined;
    this.done();
  }

  private begin(command: number): void {
    this.command = command;
    this.cycle = 1;
  }

  /** The command is carried out; the chip stays in its mode and shows its status. */
  private done(): void {
    this.status |= STATUS_READY;
    this.cycle = 0;
  }

  /** Back to array mode: the guest may read directly again, and what was staged is dropped. */
  private readArray(): void {
    this.command = ARRAY;
    this.cycle = 0;
    this.staged = undefined;
    this.setRomd(true);
  }

  private setRomd(on: boolean): void {
    if (this.romd === on) return;
    this.romd = on;
    this.host.romd(on);
  }

  private program(offset: number, data: Uint8Array): void {
    this.counts.programs += 1;
    if (this.spec.readOnly) this.status |= STATUS_PROGRAM_FAILED;
    else
      data.forEach((value, i) => {
        this.host.set(offset + i, value);
      });
  }

  /** At the first of the two cycles, and ready at once. */
  private erase(offset: number): void {
    this.counts.erases += 1;
    this.status |= STATUS_READY;
    if (this.spec.readOnly) {
      this.status |= STATUS_ERASE_FAILED;
      return;
    }
    const start = offset - (offset % this.spec.blockBytes);
    const end = Math.min(start + this.spec.blockBytes, this.host.bytes);
    for (let i = start; i < end; i++) this.host.set(i, 0xff);
  }
}
