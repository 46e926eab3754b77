/**
 * kvmtool's flash (`hw/cfi_flash.c`): two 16-bit chips on a 32-bit bus, as edk2's driver for Arm expects them. Blocks of
 * 64 KiB that can be locked, a write buffer of 128 bytes that lands when it is confirmed. The guest reads the memory
 * directly while the chip is in array mode.
 */

import {
  BLOCK_ERASE,
  CFI_QUERY,
  CLEAR_STATUS,
  CONFIRM,
  type Flash,
  LOCK_BLOCK,
  LOCK_SETUP,
  PROGRAM_BYTE,
  PROGRAM_BYTE_ALT,
  READ_ID,
  READ_STATUS,
  STATUS_ERASE_FAILED,
  STATUS_PROGRAM_FAILED,
  STATUS_PROTECTED,
  STATUS_READY,
  WRITE_BUFFER,
} from './cfi.ts';
import type { DeviceHost } from './device.ts';

const CHIPS = 2;
const BUS_BYTES = 4;
const BLOCK_BYTES = 0x1_0000;
const BUFFER_BYTES = 128;

type State = 'ready' | 'lock' | 'program' | 'erase' | 'buffer-setup' | 'buffer';
type ReadMode = 'array' | 'status' | 'id' | 'query';

/** The two chips of one run. */
export class KvmtoolFlash implements Flash {
  readonly counts = { programs: 0, erases: 0 };
  private readonly host: DeviceHost;
  private readonly query: Uint8Array;
  private state: State = 'ready';
  private mode: ReadMode = 'array';
  private status = STATUS_READY;
  private readonly locked = new Set<number>();
  private buffer = { at: -1, bytes: new Uint8Array(BUFFER_BYTES), written: 0, length: 0 };

  constructor(host: DeviceHost) {
    this.host = host;
    this.query = queryTable(host.bytes);
  }

  read(offset: number, len: number, data: Uint8Array): void {
    if (this.mode === 'array') {
      for (let i = 0; i < len; i++) data[i] = this.host.get(offset + i);
      return;
    }
    const value = this.register(offset);
    data.fill(0, 0, len);
    // Each chip answers on its half of the bus.
    for (let i = 0; i < Math.min(len, BUS_BYTES); i++) data[i] = value >>> (8 * (i % 2));
  }

  private register(offset: number): number {
    if (this.mode === 'status') return this.status;
    if (this.mode === 'query') return this.query[Math.floor(offset / BUS_BYTES)] ?? 0;
    const index = Math.floor((offset & 0x7ff) / BUS_BYTES);
    if (index === 1) return 0xffff;
    return index === 2 && this.locked.has(blockOf(offset)) ? 1 : 0;
  }

  write(offset: number, len: number, data: Uint8Array): void {
    // Wider than the bus: said in the log and ignored.
    if (len > BUS_BYTES) return;
    const value = (data[0] ?? 0) | ((len > 1 ? (data[1] ?? 0) : 0) << 8);
    this.step(offset, value, data.subarray(0, len));
  }

  private step(offset: number, value: number, data: Uint8Array): void {
    const byte = value & 0xff;
    switch (this.state) {
      case 'ready':
        this.command(byte);
        break;
      case 'lock':
        this.lock(offset, byte);
        break;
      case 'program':
        if (this.mayChange(offset)) this.store(offset, data);
        this.end('status');
        break;
      case 'erase':
        this.erase(offset, byte);
        break;
      case 'buffer-setup':
        this.buffer.length = Math.min((value + 1) * BUS_BYTES, BUFFER_BYTES);
        this.state = 'buffer';
        break;
      case 'buffer':
        if (!this.keep(offset, data)) this.confirm(byte);
    }
  }

  private command(byte: number): void {
    switch (byte) {
      case READ_ID:
        this.setMode('id');
        break;
      case READ_STATUS:
        this.setMode('status');
        break;
      case CFI_QUERY:
        this.setMode('query');
        break;
      case CLEAR_STATUS:
        this.status = STATUS_READY;
        break;
      case PROGRAM_BYTE:
      case PROGRAM_BYTE_ALT:
        this.begin('program');
        break;
      case BLOCK_ERASE:
        this.begin('erase');
        break;
      case WRITE_BUFFER:
        this.buffer = { at: -1, bytes: new Uint8Array(BUFFER_BYTES), written: 0, length: 0 };
        this.begin('buffer-setup');
        break;
      case LOCK_SETUP:
        this.state = 'lock';
        break;
      case CONFIRM:
        break;
      default:
        this.setMode('array');
    }
  }

  private lock(offset: number, byte: number): void {
    this.state = 'ready';
    if (byte === LOCK_BLOCK) this.locked.add(blockOf(offset));
    else if (byte === CONFIRM) this.locked.delete(blockOf(offset));
    else {
      this.status |= STATUS_ERASE_FAILED | STATUS_PROGRAM_FAILED;
      return;
    }
    this.setMode('status');
  }

  private erase(offset: number, byte: number): void {
    if (byte !== CONFIRM) this.status |= STATUS_ERASE_FAILED | STATUS_PROGRAM_FAILED;
    else if (this.mayChange(offset)) {
      this.counts.erases += 1;
      // From the address that was written, not from the start of its block.
      const end = Math.min(offset + BLOCK_BYTES, this.host.bytes);
      for (let i = offset; i < end; i++) this.host.set(i, 0xff);
    }
    this.end('status');
  }

  /** A data write of the buffer; false when it is none, and so the confirmation. */
  private keep(offset: number, data: Uint8Array): boolean {
    const { buffer } = this;
    if (buffer.written >= buffer.length) return false;
    if (buffer.at < 0) buffer.at = offset;
    const at = offset - buffer.at;
    if (at < 0 || at >= BUFFER_BYTES) return false;
    buffer.bytes.set(data.subarray(0, BUFFER_BYTES - at), at);
    buffer.written += data.length;
    return true;
  }

  private confirm(byte: number): void {
    const { at, bytes, written } = this.buffer;
    if (byte !== CONFIRM) {
      this.status |= STATUS_PROGRAM_FAILED;
      this.state = 'ready';
      return;
    }
    if (at >= 0 && this.mayChange(at)) this.store(at, bytes.subarray(0, written));
    this.end('status');
  }

  /** The block is not locked; a locked one sets its error bits. */
  private mayChange(offset: number): boolean {
    if (!this.locked.has(blockOf(offset))) return true;
    this.status |= STATUS_PROGRAM_FAILED | STATUS_PROTECTED;
    return false;
  }

  private store(offset: number, data: Uint8Array): void {
    this.counts.programs += 1;
    data.forEach((value, i) => {
      this.host.set(offset + i, value);
    });
  }

  private begin(state: State): void {
    this.state = state;
    this.setMode('status');
  }

  private end(mode: ReadMode): void {
    this.state = 'ready';
    this.setMode(mode);
  }

  private setMode(mode: ReadMode): void {
    if ((mode === 'array') !== (this.mode === 'array')) this.host.romd(mode === 'array');
    this.mode = mode;
  }
}

const blockOf = (offset: number): number => Math.floor(offset / BLOCK_BYTES);

/** The query table of one chip. */
function queryTable(bytes: number): Uint8Array {
  const table = new Uint8Array(0x44);
  const blocks = Math.max(1, Math.floor(bytes / BLOCK_BYTES));
  const blockUnits = BLOCK_BYTES / CHIPS / 256;
  table.set([0x51, 0x52, 0x59, 0x01, 0x00, 0x31], 0x10);
  table.set([0x45, 0x55, 0x00, 0x00, 0x01, 0x01, 0x01], 0x1b);
  table.set([Math.round(Math.log2(bytes / CHIPS)), 0x05, 0x00, 6, 0x00, 0x01], 0x27);
  table.set([blocks - 1, (blocks - 1) >> 8, blockUnits, blockUnits >> 8], 0x2d);
  table.set([0x50, 0x52, 0x49, 0x31, 0x30, 0xa0], 0x31);
  table.set([0x01, 0x00, 0x50, 0x00, 0x01], 0x3a);
  return table;
}
