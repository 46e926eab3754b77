/** The words of flash chips with the Intel command set: commands, status bits, and what every model of one is. */
import type { Device } from './device.ts';

/** The chip's commands. */
export const PROGRAM_BYTE = 0x10;
export const PROGRAM_BYTE_ALT = 0x40;
export const BLOCK_ERASE = 0x20;
export const LOCK_BLOCK = 0x01;
export const CONFIRM = 0xd0;
export const CLEAR_STATUS = 0x50;
export const LOCK_SETUP = 0x60;
export const READ_STATUS = 0x70;
export const READ_ID = 0x90;
export const CFI_QUERY = 0x98;
export const WRITE_BUFFER = 0xe8;
/** Linux probes for AMD's command set with it; Intel chips take it for a return to array mode. */
export const AMD_RESET = 0xf0;
export const READ_ARRAY = 0xff;

/** Status register: the chip is ready; programming failed; erasing failed; the block is protected. */
export const STATUS_READY = 0x80;
export const STATUS_PROGRAM_FAILED = 0x10;
export const STATUS_ERASE_FAILED = 0x20;
export const STATUS_PROTECTED = 0x02;

/** Whose chip: QEMU's since 8.1.5 and 9.0, kvmtool's, crosvm's. */
export const FLASH_MODELS = ['qemu-9', 'kvmtool', 'crosvm'] as const;
export type FlashModel = (typeof FLASH_MODELS)[number];

/** What a chip is made of. */
export interface PflashSpec {
  /** Bytes of an erase block. kvmtool has blocks of 64 KiB whatever is said here. */
  readonly blockBytes: number;
  /** Behind it is a drive opened read-only: programming and erasing set an error bit and change nothing. */
  readonly readOnly?: boolean;
  /** Whose chip it is; if absent, what the parameter `flash` of the scenario says, or else QEMU's. */
  readonly model?: FlashModel;
  /** QEMU: bytes of the bank and of one chip in it (`width`, `device-width`); 1 and unset on a PC. */
  readonly width?: 1 | 2 | 4;
  readonly deviceWidth?: 1 | 2 | 4;
  /** QEMU: manufacturer and device code (`id0` to `id3`); 0 on a PC. */
  readonly ids?: readonly [number, number, number, number];
}

/** Counts by which tests and closed forms check a replay. */
export interface PflashCounts {
  programs: number;
  erases: number;
}

/** A chip of any model. */
export interface Flash extends Device {
  /** What it has done so far. */
  readonly counts: Readonly<PflashCounts>;
}
