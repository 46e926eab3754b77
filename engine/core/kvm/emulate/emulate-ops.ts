/**
 * The emulator's way to memory (`emulate_ops` in arch/x86/kvm/x86.c, Linux 6.1): guest-linear to
 * guest-physical, then memory through the VMM's mapping, and what memory refuses becomes MMIO.
 */
import { PAGE_MASK, PAGE_SHIFT } from '../../../abi.ts';
import { EXIT_DATA_BYTES } from '../../../exits.ts';
import { STEP_INDEX } from '../../../steps.ts';
import type { Tracepoints } from '../../../tracepoints.ts';
import {
  type EmulateOps,
  X86EMUL_CMPXCHG_FAILED,
  X86EMUL_CONTINUE,
  X86EMUL_IO_NEEDED,
  X86EMUL_PROPAGATE_FAULT,
  X86EMUL_UNHANDLEABLE,
} from '../../x86/ports.ts';
import { CR0_PG, MODE_LONG64, type Regs } from '../../x86/regs.ts';
import type { LocalApic } from '../lapic.ts';
import { ACCESS_FETCH, ACCESS_READ, ACCESS_WRITE, WALK_OK } from '../paging/guest-walk.ts';
import type { Mmu } from '../paging/mmu.ts';
import type { SoftWalk } from '../paging/soft-walk.ts';
import { givesHva, guestFrame } from '../slots/guest-frame.ts';
import { MMIO_DATA_BYTES, type MmioState } from './mmio.ts';
import { MmioBus } from './mmio-bus.ts';

const PF_VECTOR = 14;
const ACCESS = STEP_INDEX['emulate-access'];
/** The local APIC's page is a device even where a slot covers it (APIC_DEFAULT_PHYS_BASE). */
export const APIC_GFN = 0xfee00;

/** A port access that the emulator asked for and userspace has to do. */
export interface PioState {
  count: number;
  size: number;
  port: number;
  isIn: boolean;
  /** Input that userspace gave, waiting for the emulator to run again. */
  readonly data: Uint8Array;
  answered: boolean;
}

/** The emulator's callbacks for one vCPU. */
export class KvmEmulateOps implements EmulateOps {
  readonly buf = new Uint8Array(MMIO_DATA_BYTES);
  readonly old = new Uint8Array(64);
  faultVector = 0;
  faultCode = 0;
  faultAddress = 0;
  /** The fault that brought the emulator in already told the guest-physical address (`gpa_available`). */
  gpaAvailable = false;
  gpaValue = 0;
  /** Asks the emulator whether the instruction at hand may use it (`emulator_can_use_gpa()`). */
  canUseGpa: () => boolean = () => false;
  /** kvm_mmio: told of each piece that memory does not take, and of the answers. */
  trace: Tracepoints | undefined;
  /** kvm_page_track_write(). */
  onGuestWrite: (gfn: number) => void = () => {};
  readonly pio: PioState = {
    count: 0,
    size: 0,
    port: 0,
    isIn: false,
    data: new Uint8Array(EXIT_DATA_BYTES),
    answered: false,
  };
  readonly bus = new MmioBus();
  /** The local APIC, where it is in the kernel: asked before the bus. */
  lapic: LocalApic | undefined;
  readonly #mmu: Mmu;
  readonly #regs: Regs;
  readonly #mmio: MmioState;
  readonly #walk: SoftWalk;

  constructor(mmu: Mmu, regs: Regs, mmio: MmioState, walk: SoftWalk) {
    this.#mmu = mmu;
    this.#regs = regs;
    this.#mmio = mmio;
    this.#walk = walk;
  }

  /** gva_to_gpa(): the guest-physical address, or -1 with the #PF recorded. */
  #gpa(linear: number, access: number, system = false): number {
    const { cr0, cpl } = this.#regs;
    if ((cr0 & CR0_PG) === 0) return linear;
    this.#mmu.vm.count(STEP_INDEX['guest-walk']);
    const user = cpl === 3 && !system;
    if (this.#walk.walk(this.#regs, linear, access, user) === WALK_OK) return this.#walk.gpa;
    this.faultVector = PF_VECTOR;
    this.faultCode = this.#walk.code;
    this.faultAddress = linear;
    return -1;
  }

  /** Copies memory of one page into `buf` at `at`; false where KVM cannot read it. */
  #readPage(gpa: number, n: number, at: number): boolean {
    const frame = guestFrame(this.#mmu, Math.floor(gpa / 4096), false);
    if (frame < 0) return false;
    const from = (frame << PAGE_SHIFT) | (gpa & PAGE_MASK);
    const { mem } = this.#mmu.vm;
    for (let i = 0; i < n; i++) this.buf[at + i] = mem[from + i]!;
    return true;
  }

  #writePage(gpa: number, n: number, at: number): boolean {
    const gfn = Math.floor(gpa / 4096);
    const frame = guestFrame(this.#mmu, gfn, true);
    if (frame < 0) return false;
    const to = (frame << PAGE_SHIFT) | (gpa & PAGE_MASK);
    const { mem } = this.#mmu.vm;
    for (let i = 0; i < n; i++) mem[to + i] = this.buf[at + i]!;
    this.onGuestWrite(gfn);
    return true;
  }

  /** After `now` bytes on one page, where the rest of an access goes on. */
  #next(linear: number): number {
    return this.#regs.mode === MODE_LONG64 ? linear : linear % 2 ** 32;
  }

  fetch(linear: number, n: number): number {
    const gpa = this.#gpa(linear, ACCESS_FETCH);
    if (gpa < 0) return X86EMUL_PROPAGATE_FAULT;
    return this.#readPage(gpa, n, 0) ? X86EMUL_CONTINUE : X86EMUL_IO_NEEDED;
  }

  /** kvm_read_guest_virt_helper(). */
  readStd(linear: number, n: number, system: boolean): number {
    return this.#std(linear, n, ACCESS_READ, system);
  }

  /** kvm_write_guest_virt_helper(): asks for I/O that nobody set up, so that the guest tries for ever. */
  writeStd(linear: number, n: number, system: boolean): number {
    return this.#std(linear, n, ACCESS_WRITE, system);
  }

  #std(linear: number, n: number, access: number, system: boolean): number {
    for (let done = 0; done < n; ) {
      const at = this.#next(linear + done);
      const now = Math.min(n - done, 4096 - (at % 4096));
      const gpa = this.#gpa(at, access, system);
      if (gpa < 0) return X86EMUL_PROPAGATE_FAULT;
      const ok = access === ACCESS_WRITE ? this.#writePage(gpa, now, done) : this.#readPage(gpa, now, done);
      if (!ok) return X86EMUL_IO_NEEDED;
      done += now;
    }
    return X86EMUL_CONTINUE;
  }

  readEmulated(linear: number, n: number): number {
    const mmio = this.#mmio;
    this.#mmu.vm.count(ACCESS);
    if (mmio.readCompleted) {
      for (let i = 0; i < n; i++) this.buf[i] = mmio.data[i]!;
      this.trace?.kvmMmio('read', n, mmio.firstGpa, this.buf.slice(0, n));
      mmio.readCompleted = false;
      return X86EMUL_CONTINUE;
    }
    const rc = this.#readWrite(linear, n, false);
    if (rc !== X86EMUL_CONTINUE || mmio.pending === 0) return rc;
    // What memory gave is kept beside what the device will give.
    mmio.keep(this.buf, n);
    mmio.ask(false);
    return X86EMUL_IO_NEEDED;
  }

  writeEmulated(linear: number, n: number): number {
    this.#mmu.vm.count(ACCESS);
    const rc = this.#readWrite(linear, n, true);
    if (rc !== X86EMUL_CONTINUE || this.#mmio.pending === 0) return rc;
    this.#mmio.keep(this.buf, n);
    this.#mmio.ask(true);
    return X86EMUL_CONTINUE;
  }

  /** emulator_read_write(): one page at a time, each on its own: the first may be done when the second fails. */
  #readWrite(linear: number, n: number, write: boolean): number {
    this.#mmio.begin();
    const now = Math.min(n, 4096 - (linear % 4096));
    const rc = this.#onePage(linear, now, 0, write);
    if (rc !== X86EMUL_CONTINUE || now === n) return rc;
    return this.#onePage(this.#next(linear + now), n - now, now, write);
  }

  /** emulator_read_write_onepage(). */
  #onePage(linear: number, n: number, at: number, write: boolean): number {
    let gpa = this.gpaValue;
    const known = this.gpaAvailable && linear % 4096 === gpa % 4096 && this.canUseGpa();
    let device = false;
    if (!known) {
      device = this.#mmu.matchesMmioGva(linear) && (!write || this.#mmu.mmioCache.writable);
      gpa = device
        ? this.#mmu.mmioCache.gfn * 4096 + (linear % 4096)
        : this.#gpa(linear, write ? ACCESS_WRITE : ACCESS_READ);
      if (gpa < 0) return X86EMUL_PROPAGATE_FAULT;
    }
    const gfn = Math.floor(gpa / 4096);
    device ||= gfn === APIC_GFN || this.#mmu.matchesMmioGfn(gfn);
    if (!device) {
      if (write ? this.#writePage(gpa, n, at) : this.#readPage(gpa, n, at)) return X86EMUL_CONTINUE;
    }
    this.trace?.kvmMmio(
      write ? 'write' : 'unsatisfied-read',
      n,
      gpa,
      this.buf.slice(at, write ? at + n : at),
    );
    if (this.lapic?.covers(gpa) === true) {
      if (write) this.lapic.write(gpa, this.buf, at, n);
      else this.lapic.read(gpa, this.buf, at, n);
      return X86EMUL_CONTINUE;
    }
    const handled = write && !this.bus.empty ? this.#busWrite(gpa, n, at) : 0;
    if (handled < n) this.#mmio.add(gpa + handled, n - handled, at + handled);
    return X86EMUL_CONTINUE;
  }

  /** write_mmio(): is the store handled in the kernel? */
  #busWrite(gpa: number, n: number, at: number): number {
    this.#mmu.vm.count(STEP_INDEX['mmio-bus']);
    return this.bus.write(gpa, this.buf.subarray(at, at + n));
  }

  /** emulator_cmpxchg_emulated(). */
  cmpxchgEmulated(linear: number, n: number): number {
    this.#mmu.vm.count(ACCESS);
    const powerOfTwo = n <= 8 && (n & (n - 1)) === 0;
    if (!powerOfTwo || (linear % 4096) + n > 4096) return this.writeEmulated(linear, n);
    const gpa = this.#gpa(linear, ACCESS_WRITE);
    const gfn = Math.floor(gpa / 4096);
    if (gpa < 0 || gfn === APIC_GFN || !givesHva(this.#mmu, gfn)) return this.writeEmulated(linear, n);
    const frame = guestFrame(this.#mmu, gfn, true);
    // There is an address but the host's mapping refuses: nothing is left to try.
    if (frame < 0) return X86EMUL_UNHANDLEABLE;
    const { mem } = this.#mmu.vm;
    const to = (frame << PAGE_SHIFT) | (gpa & PAGE_MASK);
    for (let i = 0; i < n; i++) if (mem[to + i] !== this.old[i]) return X86EMUL_CMPXCHG_FAILED;
    for (let i = 0; i < n; i++) mem[to + i] = this.buf[i]!;
    this.onGuestWrite(gfn);
    return X86EMUL_CONTINUE;
  }

  /** emulator_pio_in(): data if userspace has given it, else the request. */
  pioIn(size: number, port: number, count: number): number {
    const { pio } = this;
    if (pio.answered) {
      pio.answered = false;
      pio.count = 0;
      for (let i = 0; i < size * count; i++) this.buf[i] = pio.data[i]!;
      return 1;
    }
    this.#askPio(size, port, count, true);
    return 0;
  }

  /** emulator_pio_out(). */
  pioOut(size: number, port: number, count: number): number {
    this.#askPio(size, port, count, false);
    for (let i = 0; i < size * count; i++) this.pio.data[i] = this.buf[i]!;
    return 0;
  }

  #askPio(size: number, port: number, count: number, isIn: boolean): void {
    this.pio.size = size;
    this.pio.port = port;
    this.pio.count = count;
    this.pio.isIn = isIn;
  }

  /** Sets `halt_request`, which kvm-amd never reads: an emulated HLT does nothing. */
  halt(): void {}
}
