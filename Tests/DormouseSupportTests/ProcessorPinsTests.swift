import Glibc
import Testing

@testable import DormouseSupport

@Suite(.serialized) struct ProcessorPinsTests {
  private let mask: [Int32] = [1000, 1001, 1002, 1003]

  @Test func poolsSpreadOverTheMaskAndGiveBack() {
    var first: ProcessorPins? = ProcessorPins(threadCount: 2, available: mask)
    let second = ProcessorPins(threadCount: 2, available: mask)
    #expect(first?.processors == [1000, 1001])
    #expect(second.processors == [1002, 1003])
    #expect(ProcessorPins(threadCount: 5, available: mask).processors == [1000, 1001, 1002, 1003, 1000])
    first = nil
    #expect(ProcessorPins(threadCount: 2, available: mask).processors == [1000, 1001])
  }

  @Test func whatTheSystemRefusesIsSaid() throws {
    #expect(ProcessorPins(threadCount: 2, available: []).processors.isEmpty)
    let pins = ProcessorPins(threadCount: 2, available: mask)
    #expect { try pins.pin(pthread_self(), worker: 1) } throws: { ($0 as? Failure)?.status == .unsupported }
    #expect { try pins.pin(pthread_self(), worker: 9) } throws: { ($0 as? Failure)?.status == .unsupported }
  }
}
