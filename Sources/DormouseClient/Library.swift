internal import CDormouse

/// What concerns the library that runs, and no model. Any thread.
public enum Library {
  /// The version of the library that runs, such as "0.1.0".
  public static var version: String {
    let number = dormouse_version_number()
    return "\(number / 1_000_000).\(number / 1000 % 1000).\(number % 1000)"
  }

  /// The instruction sets: `built` and `usable`, arrays of names, and `chosen`, one of them.
  public static func instructionSets() throws(DormouseError) -> LibraryDocument {
    try Call.document("the list of kernels") { dormouse_kernels_list($0, $1, $2, $3) }
  }

  /// What a machine can do at most.
  public struct Machine: Sendable {
    /// Read from memory.
    public var bytesPerSecond = 0.0
    /// Of float32, in the chosen instruction set.
    public var operationsPerSecond = 0.0
  }

  /// Measures this machine, which takes about a second.
  /// - Parameter threads: 0: what the machine allows.
  public static func measureMachine(threads: UInt32 = 0) throws(DormouseError) -> Machine {
    var machine = Machine()
    try Call.run { dormouse_machine_measure(&machine.bytesPerSecond, &machine.operationsPerSecond, threads, $0) }
    return machine
  }
}
