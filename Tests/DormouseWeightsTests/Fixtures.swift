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

/// A folder of its own for one test, removed with this object.
final class TemporaryFolder {
  let path: String

  init() throws(Failure) {
    var template = Array("/tmp/dormouse-weights-XXXXXX".utf8CString)
    guard mkdtemp(&template) != nil else { throw Failure(.inputOutput, "no temporary folder") }
    path = String(decoding: template.dropLast().map { UInt8(bitPattern: $0) }, as: UTF8.self)
  }

  func write(_ name: String, _ bytes: [UInt8]) throws(Failure) {
    guard let file = fopen(path + "/" + name, "w") else { throw Failure(.inputOutput, "cannot write \(name)") }
    defer { fclose(file) }
    guard fwrite(bytes, 1, bytes.count, file) == bytes.count else {
      throw Failure(.inputOutput, "cannot write \(name)")
    }
  }

  /// Writes a safetensors file of `header` and `data`.
  func write(_ name: String, header: String, data: [UInt8]) throws(Failure) {
    let length = (0..<8).map { UInt8(truncatingIfNeeded: header.utf8.count >> ($0 * 8)) }
    try write(name, length + Array(header.utf8) + data)
  }

  deinit {
    guard let folder = opendir(path) else { return }
    while let entry = readdir(folder) {
      let name = withUnsafeBytes(of: entry.pointee.d_name) { String(decoding: $0.prefix { $0 != 0 }, as: UTF8.self) }
      if name != "." && name != ".." { remove(path + "/" + name) }
    }
    closedir(folder)
    rmdir(path)
  }
}
