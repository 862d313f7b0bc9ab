import DormouseSupport
import DormouseWeights

/// The tensors of a small safetensors file.
struct TensorFile {
  private let checkpoint: Checkpoint
  private let store: TensorStore

  init(_ path: String) throws {
    checkpoint = try Checkpoint(folder: path)
    store = try checkpoint.load(
      checkpoint.tensorNames, residency: .memory, pool: try ThreadPool(threadCount: 1), progress: nil)
  }

  var names: [String] { checkpoint.tensorNames }

  func has(_ name: String) -> Bool { checkpoint.record(of: name) != nil }

  func shape(_ name: String) throws -> [Int] {
    guard let description = checkpoint.record(of: name) else { throw Missing(name: name) }
    return description.shape
  }

  func floats(_ name: String) throws -> [Float] { try values(name) }
  func integers(_ name: String) throws -> [Int32] { try values(name) }

  private func values<Value: BitwiseCopyable>(_ name: String) throws -> [Value] {
    guard let bytes = store.bytes(of: name) else { throw Missing(name: name) }
    return (0..<bytes.count / MemoryLayout<Value>.size).map {
      bytes.loadUnaligned(fromByteOffset: $0 * MemoryLayout<Value>.size, as: Value.self)
    }
  }

  struct Missing: Error { let name: String }
}
