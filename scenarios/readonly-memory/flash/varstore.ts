/** The variable store of OVMF: what an empty one holds, and the commands that were recorded on a real one. */

import { CLEAR_STATUS, PROGRAM_BYTE, READ_ARRAY } from '../../../engine/vmm/devices/cfi.ts';
import { loadText } from '../../data/recordings.ts';
import type { FlashCommand } from '../../language/flash-table.ts';

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

/** What a recording is made of, worked out without a device. */
export interface Anatomy {
  /** Bytes programmed in each stretch: `10`, value, as often as that, then `ff`. */
  readonly stretches: readonly number[];
  /** Commands outside the stretches: those of the probe. */
  readonly probe: readonly number[];
  readonly reads: number;
  /** The store's bytes afterwards. */
  readonly contents: Uint8Array;
}

/**
 * Takes a recording apart and applies its programs to `blank`. It knows no modes but "the next byte is data", and so
 * checks the device from outside.
 */
export function anatomy(commands: readonly FlashCommand[], blank: Uint8Array): Anatomy {
  const contents = blank.slice();
  const stretches: number[] = [];
  const probe: number[] = [];
  let [reads, programs] = [0, 0];
  let data = false;
  for (const { write, offset, value } of commands) {
    if (!write) reads += 1;
    else if (data) {
      contents[offset] = value;
      programs += 1;
      data = false;
    } else if (value === PROGRAM_BYTE) data = true;
    else if (value === READ_ARRAY && programs > 0) {
      stretches.push(programs);
      programs = 0;
    } else probe.push(value);
  }
  return { stretches, probe, reads, contents };
}

/**
 * The closed forms of a replay. A stretch of N bytes is 2 N + 1 writes and one excursion from array mode; of the
 * probe's commands, clear status leaves and returns by itself, and read array ends what read status began. Nothing
 * here counts the recording's lines, so a line that belongs to no part shows as a difference.
 */
export function closedForms({ stretches, probe }: Anatomy): { writes: number; excursions: number } {
  const writes = stretches.reduce((sum, n) => sum + 2 * n + 1, 0) + probe.length;
  const ends = probe.filter((command) => command === CLEAR_STATUS || command === READ_ARRAY);
  return { writes, excursions: stretches.length + ends.length };
}
