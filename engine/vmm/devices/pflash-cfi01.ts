/**
 * A flash chip with the Intel command set, one byte wide, as OVMF finds it under a VMM: in array mode the guest
 * reads the memory directly (ROMD), a command byte takes it to command mode, where every access is MMIO.
 *
 * The model follows what the device of QEMU (`pflash_cfi01`) does, including what a real chip would not: a
 * block is erased at the first of the two erase cycles, and clearing the status returns to array mode.
 */
import type { Device, DeviceHost } from './device.ts';

/** The chip's commands. */
export const PROGRAM_BYTE = 0x10;
export const PROGRAM_BYTE_ALT = 0x40;
export const BLOCK_ERASE = 0x20;
export const ERASE_CONFIRM = 0xd0;
export const CLEAR_STATUS = 0x50;
export const LOCK_SETUP = 0x60;
export const READ_STATUS = 0x70;
export const READ_ID = 0x90;
export const CFI_QUERY = 0x98;
export const WRITE_BUFFER = 0xe8;
export const READ_ARRAY = 0xff;

/** Status register: the chip is ready; programming failed; erasing failed. */
export const STATUS_READY = 0x80;
export const STATUS_PROGRAM_FAILED = 0x10;
export const STATUS_ERASE_FAILED = 0x20;

/** Bytes that one buffered write can take. */
const BUFFER_BYTES = 256;
/** Manufacturer and device code answered to READ_ID: Intel, 28F640. */
const ID = [0x89, 0x17] as const;

/** What a chip is made of. */
export interface PflashSpec {
  /** Bytes of an erase block. */
  readonly blockBytes: number;
  /** Behind it is a drive opened read-only: programming and erasing set an error bit and change nothing. */
  readonly readOnly?: boolean;
}

/** Counts by which tests and closed forms check a replay. */
export interface PflashCounts {
  readonly programs: number;
  readonly erases: number;
}

/** The chip of one run. */
export class PflashCfi01 implements Device {
  private readonly host: DeviceHost;
  private readonly spec: PflashSpec;
  /** The command being carried out; READ_ARRAY when there is none. */
  private command = READ_ARRAY;
  /** Writes of the command seen so far. */
  private cycle = 0;
  private status = STATUS_READY;
  /** Data bytes a buffered write still expects. */
  private bufferLeft = 0;
  private readonly tally = { programs: 0, erases: 0 };
  private romd = true;

  constructor(host: DeviceHost, spec: PflashSpec) {
    this.host = host;
    this.spec = spec;
  }

  /** What the chip has done so far. */
  get counts(): PflashCounts {
    return this.tally;
  }

  read(offset: number, len: number, data: Uint8Array): void {
    for (let i = 0; i < len; i++) data[i] = this.readByte(offset + i);
  }

  write(offset: number, len: number, data: Uint8Array): void {
    for (let i = 0; i < len; i++) this.writeByte(offset + i, data[i] ?? 0);
  }

  private readByte(offset: number): number {
    switch (this.command) {
      case READ_ARRAY:
        return this.host.get(offset);
      case READ_ID:
        return ID[offset & 1] ?? 0;
      case CFI_QUERY:
        return [0x51, 0x52, 0x59][offset - 0x10] ?? 0;
      default:
        return this.status;
    }
  }

  private writeByte(offset: number, value: number): void {
    if (this.cycle === 0) this.firstCycle(offset, value);
    else if (this.cycle === 1) this.secondCycle(offset, value);
    else this.laterCycle(offset, value);
  }

  /** A command byte. Whatever it is, the guest loses direct access first. */
  private firstCycle(offset: number, value: number): void {
    this.setRomd(false);
    switch (value) {
      case PROGRAM_BYTE:
      case PROGRAM_BYTE_ALT:
      case LOCK_SETUP:
      case WRITE_BUFFER:
        if (value === WRITE_BUFFER) this.status |= STATUS_READY;
        this.begin(value);
        break;
      case BLOCK_ERASE:
        this.erase(offset);
        this.begin(value);
        break;
      case READ_STATUS:
      case READ_ID:
      case CFI_QUERY:
        this.command = value;
        break;
      case CLEAR_STATUS:
        this.status = 0;
        this.reset();
        break;
      default:
        this.reset();
    }
  }

  private secondCycle(offset: number, value: number): void {
    switch (this.command) {
      case PROGRAM_BYTE:
      case PROGRAM_BYTE_ALT:
        this.program(offset, value);
        this.status |= STATUS_READY;
        this.cycle = 0;
        break;
      case WRITE_BUFFER:
        this.bufferLeft = Math.min(value + 1, BUFFER_BYTES);
        this.cycle = 2;
        break;
      case BLOCK_ERASE:
      case LOCK_SETUP:
        if (value === ERASE_CONFIRM || (this.command === LOCK_SETUP && value === 0x01)) {
          this.status |= STATUS_READY;
          this.cycle = 0;
        } else this.reset();
        break;
      default:
        this.reset();
    }
  }

  /** Data of a buffered write, then its confirmation. */
  private laterCycle(offset: number, value: number): void {
    if (this.bufferLeft > 0) {
      this.program(offset, value);
      this.bufferLeft -= 1;
    } else if (value === ERASE_CONFIRM) {
      this.status |= STATUS_READY;
      this.cycle = 0;
    } else this.reset();
  }

  private begin(command: number): void {
    this.command = command;
    this.cycle = 1;
  }

  /** Back to array mode: the guest may read directly again. */
  private reset(): void {
    this.command = READ_ARRAY;
    this.cycle = 0;
    this.bufferLeft = 0;
    this.setRomd(true);
  }

  private setRomd(on: boolean): void {
    if (this.romd === on) return;
    this.romd = on;
    this.host.romd(on);
  }

  private program(offset: number, value: number): void {
    this.tally.programs += 1;
    if (this.spec.readOnly) this.status |= STATUS_PROGRAM_FAILED;
    else this.host.set(offset, value);
  }

  private erase(offset: number): void {
    this.tally.erases += 1;
    if (this.spec.readOnly) {
      this.status |= STATUS_ERASE_FAILED;
      return;
    }
    const start = offset - (offset % this.spec.blockBytes);
    for (let i = start; i < Math.min(start + this.spec.blockBytes, this.host.bytes); i++)
      this.host.set(i, 0xff);
  }
}

/** A flash chip for a `rom` region's `device`. */
export const pflash =
  (spec: PflashSpec) =>
  (host: DeviceHost): PflashCfi01 =>
    new PflashCfi01(host, spec);
