import Glibc

extension Fixtures {
  /// Names inside a fixtures folder, sorted.
  static func list(_ name: String) -> [String] {
    guard let directory = opendir(path(name)) else { return [] }
    defer { closedir(directory) }
    var names: [String] = []
    while let entry = readdir(directory) {
      names.append(
        withUnsafePointer(to: &entry.pointee.d_name) {
          $0.withMemoryRebound(to: CChar.self, capacity: 256) { String(cString: $0) }
        })
    }
    return names.filter { !$0.hasPrefix(".") }.sorted()
  }
}
