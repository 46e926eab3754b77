/** Where a guest's memory is and what a VMM puts there; how it lays a ROM out is the layout's business. */
import type { DeviceFactory } from './devices/device.ts';
import type { Settings } from './settings.ts';

/** Makes the bytes a region starts with. `random` gives 0 to 255 and depends on the seed alone. */
export type Content = (bytes: number, random: () => number, settings: Settings) => Uint8Array;

/** One range of guest-physical memory; `at` and `bytes` are multiples of the page size. */
export interface Region {
  /**
   * `rom`: laid out by the strategy. `ram`: a writable slot over shared memory. `hole`: nothing, reads as 0xff.
   * `device`: no slot, a device of the VMM's answers.
   */
  readonly kind: 'rom' | 'ram' | 'hole' | 'device';
  readonly at: number;
  readonly bytes: number;
  readonly content?: Content;
  /** Answers what leaves as MMIO: all of a `device`, and a `rom` when it is in command mode. */
  readonly device?: DeviceFactory;
  /** A ROM that is not there when the guest starts: the VMM installs it later. */
  readonly absent?: boolean;
  /** The slot logs dirty pages from the start. */
  readonly logDirty?: boolean;
}

/** A region as a VMM and a guest's author see it: its name, its end, and which bytes it starts with. */
export interface Place extends Region {
  readonly name: string;
  /** First address after it. */
  readonly end: number;
  /** The bytes the VMM puts there before the guest starts. */
  readonly image: Uint8Array;
}
