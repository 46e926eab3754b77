/** The variable store of OVMF: what an empty one holds, and the commands that were recorded on a real one. */
import { loadText } from './data.ts';
import { PROGRAM_BYTE } from './devices/pflash-cfi01.ts';

/** Bytes of the flash chip that holds the variables, in OVMF builds of 4 MiB. */
export const VARSTORE_BYTES = 0x8_4000;
/** Bytes of an erase block. */
export const BLOCK_BYTES = 0x1000;
/** The part of it that the recorded commands reach. */
export const VARIABLES_BYTES = 0x4000;

/** EFI_SYSTEM_NV_DATA_FV_GUID, as it lies in memory: what says that this is a variable store. */
const GUID = [0x8d, 0x2b, 0xf1, 0xff, 0x96, 0x76, 0x8b, 0x4c, 0xa9, 0x85, 0x27, 0x47, 0x07, 0x5b, 0x4f, 0x50];

/** An erased store: ones, but for the volume header's sixteen zeros and its GUID. Enough for the probe. */
export function blankVarstore(bytes: number): Uint8Array {
  const image = new Uint8Array(bytes).fill(0xff);
  image.fill(0, 0, 16);
  image.set(GUID, 16);
  return image;
}

/** One access of one byte that the flash saw. */
export interface FlashCommand {
  readonly write: boolean;
  readonly offset: number;
  /** What was written, or what the flash answered. */
  readonly value: number;
}

let recorded: readonly FlashCommand[] | undefined;

/** What OVMF did to its flash in its first boot to the shell, in order (see data/README.md). */
export function recordedCommands(): readonly FlashCommand[] {
  recorded ??= loadText('ovmf-varstore.pflash.txt.gz')
    .trimEnd()
    .split('\n')
    .map((line) => {
      const [op = '', offset = '', value = ''] = line.split(' ');
      return { write: op === 'w', offset: Number.parseInt(offset, 16), value: Number.parseInt(value, 16) };
    });
  return recorded;
}

/** What a recording comes to, worked out without a device: the closed forms of a replay. */
export interface Tally {
  /** Accesses of either kind. */
  readonly writes: number;
  readonly reads: number;
  /** Stretches that take the chip from array mode and back: each costs two slot operations. */
  readonly excursions: number;
  readonly programs: number;
  /** The store's bytes afterwards. */
  readonly contents: Uint8Array;
}

/**
 * Counts a recording made of byte programs, status commands and returns to array mode, and applies the
 * programs to `blank`. It knows no modes but "the next byte is data", and so checks the device from outside.
 */
export function tally(commands: readonly FlashCommand[], blank: Uint8Array): Tally {
  const contents = blank.slice();
  let [writes, reads, excursions, programs] = [0, 0, 0, 0];
  let data = false;
  for (const { write, offset, value } of commands) {
    if (!write) {
      reads += 1;
      continue;
    }
    writes += 1;
    if (data) {
      contents[offset] = value;
      programs += 1;
      data = false;
    } else if (value === PROGRAM_BYTE) data = true;
    // 0xff and 0x50 end in array mode; each was preceded by a departure, 0x50's being its own.
    else if (value === 0xff || value === 0x50) excursions += 1;
  }
  return { writes, reads, excursions, programs, contents };
}
