import ArgumentParser
import DormouseClient

struct KernelsCommand: ParsableCommand {
  static let configuration = CommandConfiguration(
    commandName: "kernels",
    abstract: "Lists the instruction sets built in, usable here, and chosen.",
    discussion: "DORMOUSE_ISA=name in the environment forces one.")

  @OptionGroup var output: OutputOptions

  func run() throws {
    let sets = try Library.instructionSets()
    if output.json { return try Console.write(line: sets.text) }
    var table = Table()
    table.add("built", sets["built"]?.strings?.joined(separator: ", "))
    table.add("usable", sets["usable"]?.strings?.joined(separator: ", "))
    table.add("chosen", sets["chosen"]?.string)
    try Console.write(line: table.text)
  }
}
