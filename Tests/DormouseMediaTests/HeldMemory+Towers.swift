import DormouseAudio
import DormouseSupport

@testable import DormouseMedia

extension HeldMemory {
  /// `expectKept` of a tower.
  static func expectKept(
    _ plan: AudioModelPlan, by tower: Any, _ pool: ThreadPool, begin: () throws -> any EncodingRun
  ) throws {
    try expectKept(plan, by: tower, pool, begin: begin) { (run: inout any EncodingRun) in
      while try run.prepareNext() { while try !run.advance() {} }
    }
  }
}
