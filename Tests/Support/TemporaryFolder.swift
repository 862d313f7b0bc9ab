import DormouseSupport
import Glibc

/// A folder of its own for one test, removed with this object.
final class TemporaryFolder {
  let path: String

  init() throws(Failure) {
    var template = Array("/tmp/dormouse-test-XXXXXX".utf8CString)
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
