internal import CDormouse

// Of the header this client leaves out what Swift has better: dormouse_error_init, dormouse_engine_options_init and
// dormouse_session_options_init, which would fill the structs of a newer library; dormouse_json_quote, since JSONEncoder
// quotes; dormouse_engine_tokenize_messages and dormouse_session_chat, whose variants with attachments do the same. And it
// leaves out the parts (dormouse_router_*, dormouse_latent_cache_*, dormouse_packed_matrix_*, dormouse_kernels_multiply, and
// dormouse_constraint_* but for a look whether one can be made): they lend single pieces of the library to programs that
// have plain arrays in hand, and nothing that is built on engines and sessions needs them. Nor does the command line embed
// texts (dormouse_session_embed).

/// What concerns the library that runs, and no model. Any thread.
public enum Library {
  /// The version of the library that runs, such as "0.2.0".
  public static var version: String {
    let number = dormouse_version_number()
    return "\(number / 1_000_000).\(number / 1000 % 1000).\(number % 1000)"
  }

  /// The instruction sets: `built` and `usable`, arrays of names, and `chosen`, one of them.
  public static func instructionSets() throws(DormouseError) -> LibraryDocument {
    try Call.document("the list of kernels") { dormouse_kernels_list($0, $1, $2, $3) }
  }

  /// Has everything that is opened from now on use this instruction set, such as "avx2"; nil goes back to the best one, or
  /// to that of the environment's DORMOUSE_ISA.
  /// - Throws: `invalidArgument` for a name that no set has, `unsupported` where the processor or the library lacks it.
  public static func force(instructionSet name: String?) throws(DormouseError) {
    try Call.run { error in withCString(name) { dormouse_kernels_force($0, error) } }
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
