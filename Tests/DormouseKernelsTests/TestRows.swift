import DormouseKernels
import Glibc

/// Cache rows that own their bytes, stored by `Kernels.storeRows` at the worst alignment their type may have, and their
/// values in double precision by the definition of the type.
final class TestRows {
  let type: CacheRowType
  let rank: Int
  let rope: Int
  let count: Int
  private let memory: UnsafeMutableRawPointer

  init(_ kernels: Kernels, _ type: CacheRowType, _ values: [Float], rank: Int, rope: Int) {
    self.type = type
    self.rank = rank
    self.rope = rope
    count = values.count / (rank + rope)
    memory = .allocate(byteCount: count * TestRows.size(type, rank, rope) + 8, alignment: 64)
    memory.storeBytes(of: TestRows.guardWord, toByteOffset: offset + byteCount, as: UInt32.self)
    kernels.storeRows(values, count: count, type: type, rank: rank, rope: rope, into: memory + offset)
  }

  deinit { memory.deallocate() }

  /// The formula of the header and of docs/numerics.md.
  static func size(_ type: CacheRowType, _ rank: Int, _ rope: Int) -> Int {
    switch type {
    case .float32: 4 * (rank + rope)
    case .bfloat16: 2 * (rank + rope)
    case .int8: rank + 4 + 2 * rope
    }
  }

  var rows: CacheRows { CacheRows(type: type, rank: rank, rope: rope, bytes: memory + offset) }
  var byteCount: Int { count * TestRows.size(type, rank, rope) }
  /// Whether nothing was written behind the last row.
  var isWithinBounds: Bool {
    memory.loadUnaligned(fromByteOffset: offset + byteCount, as: UInt32.self) == TestRows.guardWord
  }

  func value(_ t: Int, _ c: Int) -> Double {
    let row = memory + offset + t * TestRows.size(type, rank, rope)
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

  private func bfloat16(_ p: UnsafeMutableRawPointer) -> Double {
    Definition.value(.bfloat16, UInt32(p.loadUnaligned(as: UInt16.self)))
  }
}
