import DormouseKernels
import DormouseModel
import DormouseSupport
import Glibc

/// The fixtures folder, and what the tests of this module share.
enum Fixtures {
  static let folder: String = {
    let parts = #filePath.split(separator: "/", omittingEmptySubsequences: false).dropLast(2)
    return parts.joined(separator: "/") + "/Fixtures"
  }()

  static func path(_ name: String) -> String { "\(folder)/\(name)" }

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

  static let goodModels = list("models").filter { $0.hasPrefix("good-") }

  static func open(
    _ model: String, _ precision: WeightPrecision = .native, threads: Int = 2, log: Log = .silent
  ) throws -> Model {
    try Model.open(
      folder: path("models/\(model)"), precision: precision, pool: ThreadPool(threadCount: threads),
      kernels: Kernels.selected(), log: log)
  }
}
