/**
 * Mappings and what they map: backing objects with their pages, VMAs, ptes, and the facts that KVM's decisions
 * take from them.
 */
import { PAGE_SHIFT, PAGE_SIZE, PROT_READ, PROT_WRITE } from '../../abi.ts';
import {
  F_COLD,
  F_MKWRITE,
  F_PFNMAP,
  F_PTE_PRESENT,
  F_PTE_WRITE,
  F_SIGBUS,
  F_VM_READ,
  F_VM_WRITE,
  F_VMA,
} from '../../facts.ts';
import { type BackingSpec, HUGE_PAGE_SIZE } from '../../machine.ts';
import type { Vm } from '../vm.ts';

/**
 * A pte: the frame above bit 11, below it the facts F_PTE_PRESENT and F_PTE_WRITE in their own places, and
 * PTE_PRIVATE for a page this mapping owns alone. 0 is no entry.
 */
export const PTE_FRAME_SHIFT = 11;
/** The facts a pte holds. */
export const PTE_FACTS = F_PTE_PRESENT | F_PTE_WRITE;
/** See PTE_FRAME_SHIFT. */
export const PTE_PRIVATE = 1;

/** A backing's page, the frame above bit 2: it is in the page cache. */
export const PAGE_IN_CACHE = 1;
/** It was ever made; without PAGE_IN_CACHE it is only on the disk. */
export const PAGE_EXISTS = 2;
/** Where the frame begins. */
export const PAGE_FRAME_SHIFT = 2;

/** Pages of a huge page of the host: what one PMD maps. */
export const HUGE_PAGES = HUGE_PAGE_SIZE >> PAGE_SHIFT;

/** A piece of memory. */
export interface Backing extends BackingSpec {
  readonly id: number;
  readonly npages: number;
  /** Table of pages, by page number. */
  readonly pages: number;
}

/** A run of pages of a mapping with one protection: what the kernel calls a VMA. */
export interface Vma {
  start: number;
  end: number;
  prot: number;
}

/** One mmap(): its VMAs (more than one after a partial mprotect) and its page table. */
export interface Mapping {
  readonly startHvn: number;
  readonly npages: number;
  readonly shared: boolean;
  readonly backing: Backing;
  /** Table of ptes, by page of the mapping. */
  readonly ptes: number;
  vmas: Vma[];
  /** Where huge pages are possible: for each stretch of 512 host pages, 1 if one PMD maps it. */
  readonly pmds: Uint8Array | undefined;
}

/** The stretch of 512 host pages in which a page of the mapping lies, as an index of `pmds`. */
const pmdOf = (mapping: Mapping, page: number): number =>
  ((mapping.startHvn + page) >>> 9) - (mapping.startHvn >>> 9);

/** First page (of the mapping; below 0 if the stretch begins before it) of the stretch in which a page lies. */
export const pmdStart = (mapping: Mapping, page: number): number =>
  ((mapping.startHvn + page) & ~(HUGE_PAGES - 1)) - mapping.startHvn;

/** Does one PMD map the page and its 511 neighbours? */
export function mapsHuge(mapping: Mapping, page: number): boolean {
  return mapping.pmds !== undefined && mapping.pmds[pmdOf(mapping, page)] === 1;
}

/** Says that one PMD maps the stretch of a page, or no longer does. */
export function setHuge(mapping: Mapping, page: number, huge: boolean): void {
  if (mapping.pmds !== undefined) mapping.pmds[pmdOf(mapping, page)] = huge ? 1 : 0;
}

/** Room to say which stretches of a mapping are huge; undefined for memory that has no huge pages. */
export function newPmds(backing: Backing, startHvn: number): Uint8Array | undefined {
  if (backing.kind !== 'hugetlb' && backing.transparentHuge !== true) return undefined;
  return new Uint8Array(((startHvn + backing.npages - 1) >>> 9) - (startHvn >>> 9) + 1);
}

/** Protection of a page of a mapping. */
export function protAt(mapping: Mapping, page: number): number {
  for (const v of mapping.vmas) if (page >= v.start && page < v.end) return v.prot;
  return 0;
}

/** The facts of a VMA with this protection. */
export function vmaFacts(mapping: Mapping, prot: number): number {
  const read = (prot & PROT_READ) !== 0;
  const write = read && (prot & PROT_WRITE) !== 0;
  const vma = F_VMA | (read ? F_VM_READ : 0) | (write ? F_VM_WRITE : 0);
  if (mapping.backing.kind === 'pfnmap') return vma | F_PFNMAP;
  return vma | (write && readMapsWritable(mapping) ? F_MKWRITE : 0);
}

/**
 * Does a read fault leave a pte that may be written, where the VMA may? Shared memory without write-notify, and what
 * UFFDIO_COPY puts in; a file's shared pages are write-notified (the filesystem must learn of the first store).
 */
function readMapsWritable({ backing, shared }: Mapping): boolean {
  return (shared && backing.kind !== 'file') || backing.userfaultfd !== undefined;
}

/** VMA facts that hold for every page from `page` on, or -1 if the pages differ. */
export function uniformFacts(mapping: Mapping, page: number, npages: number): number {
  const vma = mapping.vmas.find((v) => page >= v.start && page + npages <= v.end);
  return vma === undefined ? -1 : vmaFacts(mapping, vma.prot);
}

/**
 * Residency facts of a page that has no pte: is it past the end, or would it have to be waited for? Of shared memory
 * swapped out nobody is sent away: shmem_swapin_folio() waits for the page whatever the caller asked.
 */
export function absentFacts(vm: Vm, mapping: Mapping, page: number): number {
  const { backing } = mapping;
  if (backing.kind === 'file' && page * PAGE_SIZE >= backing.bytes) return F_SIGBUS;
  if (backing.kind === 'shm') return 0;
  const entry = vm.tableGet(backing.pages, page);
  return (entry & PAGE_EXISTS) !== 0 && (entry & PAGE_IN_CACHE) === 0 ? F_COLD : 0;
}

/** Gives a range of a mapping another protection: VMAs are split, and joined where they can be (vma_merge()). */
export function protect(mapping: Mapping, start: number, end: number, prot: number): void {
  const pieces: Vma[] = [{ start, end, prot }];
  for (const v of mapping.vmas) {
    if (v.start < start) pieces.push({ ...v, end: Math.min(v.end, start) });
    if (v.end > end) pieces.push({ ...v, start: Math.max(v.start, end) });
  }
  const vmas: Vma[] = [];
  for (const v of pieces.toSorted((a, b) => a.start - b.start)) {
    const last = vmas.at(-1);
    if (last !== undefined && last.end === v.start && last.prot === v.prot) last.end = v.end;
    else vmas.push(v);
  }
  mapping.vmas = vmas;
}
