import DormouseKernels
import DormouseModel
import DormouseSupport

/// The fixtures folder, and what the tests of this module share.
enum Fixtures {
  static let folder: String = {
    let parts = #filePath.split(separator: "/", omittingEmptySubsequences: false).dropLast(2)
    return parts.joined(separator: "/") + "/Fixtures"
  }()

  static func path(_ name: String) -> String { "\(folder)/\(name)" }

  static let goodModels = list("models").filter { $0.hasPrefix("good-") }

  static func open(
    _ model: String, _ precision: WeightPrecision = .native, threads: Int = 2, log: Log = .silent
  ) throws -> Model {
    try Model.open(
      folder: path("models/\(model)"), precision: precision, pool: ThreadPool(threadCount: threads),
      kernels: Kernels.selected(), log: log)
  }
}
