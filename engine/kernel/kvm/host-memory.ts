/** The VMM's memory in the agent's address space: backings, their aliases, the mappings that slots name. */
import { EINVAL, PAGE_SIZE, PROT_READ, PROT_WRITE } from '../../abi.ts';
import type { BackingSpec, MappingSpec } from '../../machine.ts';
import { SYS } from '../agent/syscalls.ts';
import { refuse } from './refuse.ts';
import type { Remote, RemoteFd } from './remote.ts';
import { MAP_ANONYMOUS, MAP_FIXED, MAP_PRIVATE, MAP_SHARED } from './session.ts';

const MADV_DONTNEED = 4;
const POSIX_FADV_DONTNEED = 4;
const POSIX_FADV_RANDOM = 1;
const RW = PROT_READ | PROT_WRITE;
/** All mappings lie from here on, a stretch apart, so that no two of them merge and one munmap() ends them all. */
const MAPS_AT = 0x2_0000_0000;
const STRETCH = 2 << 20;

interface Backing {
  readonly spec: BackingSpec;
  /** The memfd; absent for anonymous memory and for files, which are on the disk. */
  readonly fd?: RemoteFd;
  /** Where on the disk it begins. */
  readonly diskAt: number;
  /** The VMM's own mapping; of anonymous memory the one the slot names. */
  alias: number | undefined;
  readonly maps: number[];
}

interface Mapping {
  readonly backing: Backing;
  readonly bytes: number;
  prot: number;
}

/** The memory of one VM. */
export class HostMemory {
  readonly #remote: Remote;
  readonly #disk: number | undefined;
  readonly #backings: Backing[] = [];
  readonly #mappings = new Map<number, Mapping>();
  #next = MAPS_AT;
  #diskNext = 0;

  /** `disk` is the descriptor of a disk whose pages can leave memory. */
  constructor(remote: Remote, disk: number | undefined) {
    this.#remote = remote;
    this.#disk = disk;
  }

  create(spec: BackingSpec): number {
    refuse(!['shm', 'anon', 'file'].includes(spec.kind), `memory of kind ${spec.kind}`);
    refuse(spec.transparentHuge === true, 'transparent huge pages');
    refuse(spec.userfaultfd !== undefined, 'a userfaultfd handler');
    const { batch } = this.#remote;
    const backing: Backing = {
      spec,
      diskAt: this.#diskNext,
      alias: undefined,
      maps: [],
      ...this.#memfd(spec),
    };
    this.#backings.push(backing);
    if (spec.kind !== 'anon' && spec.bytes > 0) {
      backing.alias = this.#place(spec.bytes);
      const [fd, offset] = this.#source(backing);
      batch.call(
        SYS.mmap,
        [backing.alias, spec.bytes, RW, MAP_SHARED | MAP_FIXED, fd, offset],
        'mapping memory',
      );
    }
    if (spec.kind === 'file') {
      this.#diskNext += Math.ceil(spec.bytes / STRETCH) * STRETCH;
      // Without this a fault reads the pages around it as well.
      batch.call(SYS.fadvise64, [this.#diskFd(), 0, 0, POSIX_FADV_RANDOM]);
    }
    // A disk remembers the VM before.
    if (backing.alias !== undefined && ((spec.fill ?? 0) !== 0 || spec.kind === 'file'))
      this.#remote.fill(backing.alias, spec.fill ?? 0, spec.bytes, 'filling memory');
    return this.#backings.length - 1;
  }

  mmap({ backing: id, prot, shared, hugeOffset }: MappingSpec): number {
    refuse(hugeOffset !== undefined, 'a place in a huge page');
    const backing = this.#backing(id);
    const { spec } = backing;
    const hva = this.#place(spec.bytes);
    backing.maps.push(hva);
    this.#mappings.set(hva, { backing, bytes: spec.bytes, prot });
    if (spec.bytes === 0) return hva;
    const { batch } = this.#remote;
    if (spec.kind !== 'anon') {
      const [fd, offset] = this.#source(backing);
      const flags = (shared ? MAP_SHARED : MAP_PRIVATE) | MAP_FIXED;
      batch.call(SYS.mmap, [hva, spec.bytes, prot, flags, fd, offset], 'mapping memory');
      return hva;
    }
    const flags = MAP_PRIVATE | MAP_ANONYMOUS | MAP_FIXED;
    batch.call(SYS.mmap, [hva, spec.bytes, RW, flags, -1, 0], 'mapping memory');
    backing.alias ??= hva;
    if ((spec.fill ?? 0) !== 0) this.#remote.fill(hva, spec.fill ?? 0, spec.bytes, 'filling memory');
    if (prot !== RW) this.#remote.batch.call(SYS.mprotect, [hva, spec.bytes, prot], 'mprotect()');
    return hva;
  }

  munmap(hva: number): number {
    const mapping = this.#mappings.get(hva);
    if (mapping === undefined) return -EINVAL;
    this.#mappings.delete(hva);
    return mapping.bytes === 0 ? 0 : this.#remote.ask(SYS.munmap, [hva, mapping.bytes]);
  }

  mprotect(hva: number, bytes: number, prot: number): number {
    const mapping = this.#mappings.get(hva);
    if (mapping !== undefined) mapping.prot = prot;
    return this.#remote.ask(SYS.mprotect, [hva, bytes, prot]);
  }

  madviseDontneed(hva: number, bytes: number): number {
    return this.#remote.ask(SYS.madvise, [hva, bytes, MADV_DONTNEED]);
  }

  /** Out of every mapping, written back, and out of the page cache; of files alone. */
  dropPageCache(id: number): number {
    const backing = this.#backing(id);
    if (backing.spec.kind !== 'file' || backing.alias === undefined) return -EINVAL;
    const { bytes } = backing.spec;
    const { batch } = this.#remote;
    for (const map of [backing.alias, ...backing.maps.filter((m) => this.#mappings.has(m))])
      batch.call(SYS.madvise, [map, bytes, MADV_DONTNEED]);
    batch.call(SYS.fsync, [this.#diskFd()]);
    return this.#remote.ask(SYS.fadvise64, [this.#diskFd(), backing.diskAt, bytes, POSIX_FADV_DONTNEED]);
  }

  residentPages(hva: number): number {
    const mapping = this.#mappings.get(hva);
    if (mapping === undefined) return -EINVAL;
    const pages = Math.ceil(mapping.bytes / PAGE_SIZE);
    const { batch } = this.#remote;
    const space = batch.space(pages);
    batch.call(SYS.mincore, [hva, mapping.bytes, space.address], 'mincore()');
    return this.#remote
      .answer()
      .bytes(space)
      .reduce((sum, byte) => sum + (byte & 1), 0);
  }

  poke(id: number, offset: number, bytes: Uint8Array): void {
    if (bytes.length === 0) return;
    const backing = this.#backing(id);
    this.#withRights(backing, RW, (alias) => {
      this.#remote.write(alias + offset, bytes, 'writing guest memory');
    });
  }

  peek(id: number, offset: number, length: number): Uint8Array {
    const backing = this.#backing(id);
    let seen = new Uint8Array(0);
    if (length === 0) return seen;
    this.#withRights(backing, PROT_READ, (alias) => {
      seen = this.#remote.read(alias + offset, length, 'reading guest memory').slice();
    });
    return seen;
  }

  /** Queues what gives everything back. */
  release({ batch }: Remote): void {
    if (this.#next > MAPS_AT) batch.call(SYS.munmap, [MAPS_AT, this.#next - MAPS_AT], 'unmapping memory');
    for (const { fd } of this.#backings) if (fd !== undefined) batch.call(SYS.close, [fd.argument]);
  }

  /** Anonymous memory is reached through the slot's own mapping, whose rights may be too few. */
  #withRights(backing: Backing, needed: number, work: (alias: number) => void): void {
    const { alias, spec } = backing;
    if (alias === undefined) throw new Error('bug in the engine: memory that is not mapped');
    const prot = spec.kind === 'anon' ? (this.#mappings.get(alias)?.prot ?? RW) : RW;
    const lift = (prot & needed) !== needed;
    if (lift) this.#remote.batch.call(SYS.mprotect, [alias, spec.bytes, prot | needed], 'mprotect()');
    work(alias);
    if (lift) this.#remote.batch.call(SYS.mprotect, [alias, spec.bytes, prot], 'mprotect()');
  }

  #memfd(spec: BackingSpec): { fd?: RemoteFd } {
    if (spec.kind !== 'shm') return {};
    const { batch } = this.#remote;
    const fd = this.#remote.openFd(SYS.memfd_create, [batch.text('guest'), 0], 'memfd_create()');
    batch.call(SYS.ftruncate, [fd.argument, spec.bytes], 'ftruncate()');
    return { fd };
  }

  #source(backing: Backing) {
    return backing.fd === undefined
      ? ([this.#diskFd(), backing.diskAt] as const)
      : ([backing.fd.argument, 0] as const);
  }

  #diskFd(): number {
    if (this.#disk === undefined)
      throw new Error('this kernel has no disk to put files on (CONFIG_VIRTIO_BLK)');
    return this.#disk;
  }

  #place(bytes: number): number {
    const at = this.#next;
    this.#next += (Math.ceil(bytes / STRETCH) + 1) * STRETCH;
    return at;
  }

  #backing(id: number): Backing {
    const backing = this.#backings[id];
    if (backing === undefined) throw new Error(`bug in the engine: no backing ${id}`);
    return backing;
  }
}
