public import DormouseSupport
import DormouseWeights

extension ModelFolder {
  /// Tells the log about tensors that nobody uses.
  /// - Parameter others: those that the folder's towers use.
  public func reportLeftovers(besides others: [String] = [], to log: Log) {
    let used = Set((plan.names + others).map { ExactString($0) })
    let names = TensorNames(checkpoint)
    var skipped = 0
    var unexpected: [String] = []
    let unread = checkpoint.unreadTensors.map(\.name)
    for name in checkpoint.tensorNames + unread where !used.contains(ExactString(name)) {
      switch names.leftover(name, configuration) {
      case .redundant: break
      case .nextTokenLayer: skipped += 1
      case .unexpected: unexpected.append(JSON.string(name).text())
      }
    }
    let folder = checkpoint.folder
    if skipped > 0 {
      log(.information, "\(folder): \(skipped) tensors of multi-token prediction layers are not used")
    }
    if !unexpected.isEmpty {
      log(
        .warning,
        "\(folder): \(unexpected.count) tensors are not part of the model: \(Self.shortened(unexpected))")
    }
    let missing = checkpoint.missingTensorNames.map { JSON.string($0).text() }
    if !missing.isEmpty {
      log(
        .warning,
        "\(folder): the index lists \(missing.count) tensors that no shard has: \(Self.shortened(missing)); the model"
          + " does not use them")
    }
  }

  private static func shortened(_ names: [String]) -> String {
    let more = names.count > shownNames ? " and \(names.count - shownNames) more" : ""
    return names.prefix(shownNames).joined(separator: ", ") + more
  }

  private static let shownNames = 8
}
