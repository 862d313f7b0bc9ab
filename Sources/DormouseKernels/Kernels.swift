internal import CPlatform
public import DormouseSupport
import Glibc
import Synchronization

/// The arithmetic of one instruction set: a table of functions chosen once.
///
/// Buffers belong to the caller and may have any alignment that their element type has. Sums are float32. NaN and
/// infinity pass through as in IEEE 754; a NaN weight makes its row's result NaN. Thread: any; no function keeps state.
public struct Kernels: Sendable {
  public let instructionSet: InstructionSet
  let table: platform_kernels

  /// The instruction sets this build holds, weakest first.
  public static func built() -> [InstructionSet] {
    InstructionSet.allCases.filter { $0.table != nil }
  }

  /// Those of `built()` that this processor has, weakest first.
  public static func usable() -> [InstructionSet] { built().filter(\.isUsable) }

  /// - Throws: `Failure(.unsupported)` when this build or this processor does not have `set`.
  public static func make(_ set: InstructionSet) throws(Failure) -> Kernels {
    guard let table = set.table else {
      throw Failure(.unsupported, "instruction set \(set.rawValue) is not in this build, which holds \(names(built()))")
    }
    guard set.isUsable else {
      throw Failure(
        .unsupported, "this processor does not have the instruction set \(set.rawValue); usable: \(names(usable()))")
    }
    return Kernels(instructionSet: set, table: table)
  }

  /// The set given to `force`, else the one that the environment variable `DORMOUSE_ISA` names, else the best usable.
  ///
  /// - Throws: `Failure(.unsupported)` for a name that is unknown or not usable here.
  public static func selected() throws(Failure) -> Kernels {
    try choice.selected(by: getenv(environmentName).map { String(cString: $0) })
  }

  /// Makes `selected()` return `set` in this process from now on; nil lifts it. Engines open already keep theirs.
  ///
  /// - Throws: `Failure(.unsupported)` as `make`; the choice is then as before.
  public static func force(_ set: InstructionSet?) throws(Failure) { try choice.force(set) }

  private static let choice = InstructionSetChoice()

  fileprivate static func names(_ sets: [InstructionSet]) -> String { sets.map(\.rawValue).joined(separator: ", ") }
}

private let environmentName = "DORMOUSE_ISA"

/// Which instruction set is to be used: the process has one such choice, a test may make its own.
final class InstructionSetChoice: Sendable {
  /// The place of the set in `InstructionSet.allCases`; -1 for none. No lock, which a child of `fork` might find closed.
  private let forced = Atomic<Int>(-1)

  /// - Parameter name: the value of `DORMOUSE_ISA`; nil where it is not set. What was forced comes first.
  /// - Throws: `Failure(.unsupported)` for a name that is unknown or not usable here.
  func selected(by name: String?) throws(Failure) -> Kernels {
    let place = forced.load(ordering: .relaxed)
    if InstructionSet.allCases.indices.contains(place) { return try Kernels.make(InstructionSet.allCases[place]) }
    guard let name else { return try Kernels.make(Kernels.usable().last ?? .baseline) }
    guard let set = InstructionSet(rawValue: name) else {
      throw Failure(
        .unsupported, "\(environmentName) is \"\(name)\": expected one of \(Kernels.names(Kernels.usable()))")
    }
    return try withContext(environmentName) { () throws(Failure) in try Kernels.make(set) }
  }

  /// - Throws: `Failure(.unsupported)` as `Kernels.make`; the choice is then as before.
  func force(_ set: InstructionSet?) throws(Failure) {
    if let set { _ = try Kernels.make(set) }
    forced.store(set.flatMap { InstructionSet.allCases.firstIndex(of: $0) } ?? -1, ordering: .relaxed)
  }
}
