import ArgumentParser
import CDormouse

struct KernelsCommand: ParsableCommand {
  static let configuration = CommandConfiguration(
    commandName: "kernels",
    abstract: "Lists the instruction sets built in, usable here, and chosen.",
    discussion: "DORMOUSE_ISA=name in the environment forces one.")

  @OptionGroup var output: OutputOptions

  func run() throws {
    let document = try Library.string { dormouse_kernels_list($0, $1, $2, $3) }
    if output.json { return try Console.write(line: document) }
    let kernels = try JSONDocument.read(Kernels.self, Array(document.utf8), name: "the list of kernels")
    var table = Table()
    table.add("built", kernels.built.joined(separator: ", "))
    table.add("usable", kernels.usable.joined(separator: ", "))
    table.add("chosen", kernels.chosen)
    try Console.write(line: table.text)
  }

  private struct Kernels: Decodable {
    var built: [String]
    var usable: [String]
    var chosen: String
  }
}
