/**
 * crosvm's flash (`devices/src/pflash.rs`): just what OVMF's variable driver needs. Single bytes are written, wider
 * stores are ignored; there is no query, no id and no write buffer. It has no memory slot: every read leaves, so the
 * device asks its VMM to take the guest's direct access away for good.
 */

import {
  BLOCK_ERASE,
  CLEAR_STATUS,
  CONFIRM,
  type Flash,
  type PflashSpec,
  PROGRAM_BYTE,
  READ_STATUS,
  STATUS_READY,
} from './cfi.ts';
import type { DeviceHost } from './device.ts';

type State =
  | { readonly name: 'array' | 'status' }
  | { readonly name: 'erase' | 'program'; readonly at: number };

const ARRAY: State = { name: 'array' };

/** The chip of one run. */
export class CrosvmFlash implements Flash {
  readonly counts = { programs: 0, erases: 0 };
  private readonly host: DeviceHost;
  private readonly spec: PflashSpec;
  private state = ARRAY;
  private status = STATUS_READY;
  private hidden = false;

  constructor(host: DeviceHost, spec: PflashSpec) {
    this.host = host;
    this.spec = spec;
  }

  read(offset: number, len: number, data: Uint8Array): void {
    if (this.state.name === 'array') {
      this.status = STATUS_READY;
      for (let i = 0; i < len; i++) data[i] = this.host.get(offset + i);
      return;
    }
    // The status is told once; a read that nobody expects tells nothing. Both return to array mode.
    if (this.state.name === 'status') data.fill(this.status, 0, len);
    this.state = ARRAY;
  }

  write(offset: number, len: number, data: Uint8Array): void {
    if (!this.hidden) this.host.romd(false);
    this.hidden = true;
    if (len > 1) return;
    const byte = data[0] ?? 0;
    const { state } = this;
    if (state.name === 'program' || state.name === 'erase') this.finish(state, offset, byte);
    else this.command(offset, byte);
  }

  private command(offset: number, byte: number): void {
    if (byte === CLEAR_STATUS) this.status = 0;
    if (byte === READ_STATUS) this.state = { name: 'status' };
    else if (byte === PROGRAM_BYTE) this.state = { name: 'program', at: offset };
    else if (byte === BLOCK_ERASE) this.state = { name: 'erase', at: offset };
    else this.state = ARRAY;
  }

  /** The second write has to be at the place of the first. */
  private finish(
    { name, at }: { name: 'erase' | 'program'; at: number },
    offset: number,
    byte: number,
  ): void {
    this.state = ARRAY;
    this.status = STATUS_READY;
    if (offset !== at || this.spec.readOnly) return;
    if (name === 'program') {
      this.counts.programs += 1;
      this.host.set(offset, byte);
      return;
    }
    if (byte !== CONFIRM || offset % this.spec.blockBytes !== 0) return;
    this.counts.erases += 1;
    for (let i = 0; i < this.spec.blockBytes; i++) this.host.set(offset + i, 0xff);
  }
}
