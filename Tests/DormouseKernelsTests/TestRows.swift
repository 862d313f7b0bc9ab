import DormouseKernels
import Glibc

/// Cache rows that own their bytes, in pages out of order, stored by `Kernels.storeRows` at the worst alignment their type may have, and their
/// values in double precision by the definition of the type.
final class TestRows {
  let type: CacheRowType
  let rank: Int
  let rope: Int
  let count: Int
  private let memory: UnsafeMutableRawPointer
  private let pageByteCount: Int
  private let pages: UnsafeMutablePointer<UnsafeRawPointer>

  init(_ kernels: Kernels, _ type: CacheRowType, _ values: [Float], rank: Int, rope: Int) {
    self.type = type
    self.rank = rank
    self.rope = rope
    count = values.count / (rank + rope)
    let pageCount = (count + CacheRows.positionsPerPage - 1) / CacheRows.positionsPerPage
    pageByteCount = CacheRows.positionsPerPage * TestRows.size(type, rank, rope)
    memory = .allocate(byteCount: pageCount * pageByteCount + 8, alignment: 64)
    pages = .allocate(capacity: pageCount)
    for page in 0..<pageCount {
      // The last page comes first in memory, so that none follows the one before it.
      let base = memory + (offset + (pageCount - 1 - page) * pageByteCount)
      pages[page] = UnsafeRawPointer(base)
      let first = page * CacheRows.positionsPerPage
      let some = min(CacheRows.positionsPerPage, count - first)
      values.withUnsafeBufferPointer { values in
        guard let source = values.baseAddress else { return }
        kernels.storeRows(
          source + first * (rank + rope), count: some, type: type, rank: rank, rope: rope, into: base)
      }
    }
    memory.storeBytes(of: TestRows.guardWord, toByteOffset: offset + pageCount * pageByteCount, as: UInt32.self)
  }

  deinit {
    memory.deallocate()
    pages.deallocate()
  }

  /// The formula of the header and of docs/numerics.md.
  static func size(_ type: CacheRowType, _ rank: Int, _ rope: Int) -> Int {
    switch type {
    case .float32: 4 * (rank + rope)
    case .bfloat16: 2 * (rank + rope)
    case .int8: rank + 4 + 2 * rope
    }
  }

  var rows: CacheRows { CacheRows(type: type, rank: rank, rope: rope, pages: pages) }
  /// Whether nothing was written behind the last page.
  var isWithinBounds: Bool {
    let pageCount = (count + CacheRows.positionsPerPage - 1) / CacheRows.positionsPerPage
    return memory.loadUnaligned(fromByteOffset: offset + pageCount * pageByteCount, as: UInt32.self)
      == TestRows.guardWord
  }

  func value(_ t: Int, _ c: Int) -> Double {
    let row = pages[t / CacheRows.positionsPerPage] + t % CacheRows.positionsPerPage * TestRows.size(type, rank, rope)
    switch type {
    case .float32: return Double(row.loadUnaligned(fromByteOffset: 4 * c, as: Float.self))
    case .bfloat16: return bfloat16(row + 2 * c)
    case .int8:
      if c >= rank { return bfloat16(row + rank + 4 + 2 * (c - rank)) }
      return Double((row + c).load(as: Int8.self)) * Double((row + rank).loadUnaligned(as: Float.self))
    }
  }

  private var offset: Int { type == .float32 ? 4 : 1 }
  private static let guardWord: UInt32 = 0xA5A5_5A5A

  private func bfloat16(_ p: UnsafeRawPointer) -> Double {
    Definition.value(.bfloat16, UInt32(p.loadUnaligned(as: UInt16.self)))
  }
}
