import DormouseSupport
import DormouseWeights
import Glibc

/// `Tests/Fixtures/weights`, found beside this file.
let fixtures: String = {
  let parts = #filePath.split(separator: "/", omittingEmptySubsequences: false)
  return parts.dropLast(2).joined(separator: "/") + "/Fixtures/weights"
}()

func readFixture(_ name: String) throws(Failure) -> JSONObject {
  let path = fixtures + "/" + name
  guard let object = try File.readJSON(path).objectValue else { throw Failure(.malformed, "\(path): not an object") }
  return object
}

/// The failure that `body` throws, if it throws one.
func failure(_ body: () throws -> Void) -> Failure? {
  do {
    try body()
    return nil
  } catch { return error as? Failure }
}

/// Three threads, whatever the machine has; tests take turns.
private let threads = Result { try ThreadPool(threadCount: 3) }

extension Checkpoint {
  /// Loads with three threads.
  func load(_ names: [String], residency: Residency, progress: Progress?) throws -> TensorStore {
    try load(names, residency: residency, pool: try threads.get(), progress: progress)
  }
}

extension TemporaryFolder {
  /// Writes a safetensors file of `header` and `data`.
  func write(_ name: String, header: String, data: [UInt8]) throws(Failure) {
    let length = (0..<8).map { UInt8(truncatingIfNeeded: header.utf8.count >> ($0 * 8)) }
    try write(name, length + Array(header.utf8) + data)
  }
}
