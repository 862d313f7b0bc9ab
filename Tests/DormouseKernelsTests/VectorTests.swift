import DormouseKernels
import Glibc
import Testing

/// Operations on float32 vectors, against double precision.
@Suite struct VectorTests {
  @Test func dot() {
    for kernels in usableKernels {
      for count in [0] + awkwardCounts {
        let (a, b) = (Random.list(count, seed: 1), Random.list(count, seed: 2))
        let terms = a.indices.map { Double(a[$0]) * Double(b[$0]) }
        let magnitude = terms.reduce(0) { $0 + abs($1) }
        #expect(isNear(kernels.dot(a, b, count: count), terms.reduce(0, +), magnitude: magnitude))
      }
    }
  }

  @Test func addScaled() {
    for kernels in usableKernels {
      for count in [0] + awkwardCounts {
        let (x, before) = (Random.list(count, seed: 1), Random.list(count + 1, seed: 2))
        var y = before
        kernels.addScaled(&y, -1.7, x, count: count)
        for i in 0..<count {
          let product = Double(Float(-1.7)) * Double(x[i])
          #expect(isNear(y[i], Double(before[i]) + product, magnitude: abs(Double(before[i])) + abs(product)))
        }
        #expect(y[count] == before[count])
      }
    }
  }

  @Test func rmsNorm() {
    for kernels in usableKernels {
      for count in awkwardCounts {
        let (x, weight) = (Random.list(count, seed: 1), Random.list(count, seed: 2))
        var y = [Float](repeating: 7, count: count + 1)
        kernels.rmsNorm(x, weight: weight, epsilon: 1e-6, count: count, into: &y)
        let mean = x.reduce(0.0) { $0 + Double($1) * Double($1) } / Double(count)
        for i in 0..<count {
          let expected = Double(x[i]) / sqrt(mean + Double(Float(1e-6))) * Double(weight[i])
          #expect(isNear(y[i], expected, magnitude: abs(expected)))
        }
        #expect(y[count] == 7)
        var inPlace = x
        inPlace.withUnsafeMutableBufferPointer { buffer in
          guard let base = buffer.baseAddress else { return }
          kernels.rmsNorm(base, weight: weight, epsilon: 1e-6, count: count, into: base)
        }
        #expect(inPlace == Array(y[..<count]))
      }
    }
  }

  @Test(arguments: [1, 3, 64]) func sumRectified(rows: Int) {
    for kernels in usableKernels {
      for count in awkwardCounts {
        let x = Random.list(rows * (count + 2), seed: 1)
        let weights = Random.list(rows, seed: 2)
        var out = [Float](repeating: 7, count: count + 1)
        kernels.sumRectified(x, row: count + 2, rows: rows, weights: weights, count: count, into: &out)
        for j in 0..<count {
          let terms = (0..<rows).map { Double(weights[$0]) * max(0, Double(x[$0 * (count + 2) + j])) }
          #expect(isNear(out[j], terms.reduce(0, +), magnitude: terms.reduce(0) { $0 + abs($1) }))
        }
        #expect(out[count] == 7)
      }
      var out: [Float] = [0]
      kernels.sumRectified([.nan], row: 1, rows: 1, weights: [1], count: 1, into: &out)
      #expect(out[0].isNaN)
    }
  }

  @Test func siluMultiply() {
    for kernels in usableKernels {
      for count in [0] + awkwardCounts {
        let (gate, up) = (Random.list(count, seed: 1).map { $0 * 30 }, Random.list(count, seed: 2))
        var y = gate + [7]
        kernels.siluMultiply(gate: &y, up: up, count: count)
        for i in 0..<count {
          let expected = Double(gate[i]) / (1 + exp(-Double(gate[i]))) * Double(up[i])
          #expect(isNear(y[i], expected, magnitude: abs(expected)))
        }
        #expect(y[count] == 7)
      }
    }
  }

  @Test(arguments: [Float(0), 100]) func layerNorm(shift: Float) {
    for kernels in usableKernels {
      for count in awkwardCounts {
        let x = Random.list(count, seed: 1).map { $0 + shift }
        let (weight, bias) = (Random.list(count, seed: 2), Random.list(count, seed: 3))
        var y = [Float](repeating: 7, count: count + 1)
        kernels.layerNorm(x, weight: weight, bias: bias, epsilon: 1e-5, count: count, into: &y)
        let mean = x.reduce(0.0) { $0 + Double($1) } / Double(count)
        let variance = x.reduce(0.0) { $0 + (Double($1) - mean) * (Double($1) - mean) } / Double(count)
        let deviation = sqrt(variance + Double(Float(1e-5)))
        for i in 0..<count {
          let scaled = (Double(x[i]) - mean) / deviation * Double(weight[i])
          // The mean is rounded, to a part of its own size.
          let magnitude = abs(scaled) + abs(Double(bias[i])) + abs(mean) / deviation * abs(Double(weight[i]))
          #expect(isNear(y[i], scaled + Double(bias[i]), magnitude: magnitude))
        }
        #expect(y[count] == 7)
        var inPlace = x
        inPlace.withUnsafeMutableBufferPointer { buffer in
          guard let base = buffer.baseAddress else { return }
          kernels.layerNorm(base, weight: weight, bias: bias, epsilon: 1e-5, count: count, into: base)
        }
        #expect(inPlace == Array(y[..<count]))
      }
    }
  }

  @Test func gelu() {
    for kernels in usableKernels {
      for count in [0] + awkwardCounts {
        let x = Random.list(count, seed: 1).map { $0 * 12 }
        var y = x + [7]
        kernels.gelu(&y, count: count)
        for i in 0..<count {
          let expected = Double(x[i]) / 2 * erfc(-Double(x[i]) / 2.0.squareRoot())
          // The square of a large argument is rounded before it is an exponent.
          let tolerance = 1e-6 + 2e-7 * Double(x[i] * x[i])
          #expect(isNear(y[i], expected, magnitude: abs(expected), tolerance: tolerance), "gelu(\(x[i]))")
        }
        #expect(y[count] == 7)
      }
    }
  }

  @Test func geluTanh() {
    for kernels in usableKernels {
      for count in [0] + awkwardCounts {
        let x = Random.list(count, seed: 1).map { $0 * 8 }
        var y = x + [7]
        kernels.geluTanh(&y, count: count)
        for i in 0..<count {
          let value = Double(x[i])
          let inner = 2 * (2 / Double.pi).squareRoot() * (value + 0.044715 * value * value * value)
          let expected = value / (1 + exp(-inner))
          let tolerance = 1e-6 + 2e-7 * abs(inner)
          #expect(isNear(y[i], expected, magnitude: abs(expected), tolerance: tolerance), "geluTanh(\(x[i]))")
        }
        #expect(y[count] == 7)
      }
    }
  }

  /// gelu at every size, also where one of its two forms takes over from the other.
  @Test func geluOfSpecialValues() {
    for kernels in usableKernels {
      for count in [1, 40] {
        for (x, expected) in [(Float(0), Float(0)), (-0.0, 0), (60, 60), (-60, 0), (.infinity, .infinity)] {
          for apply in [kernels.gelu, kernels.geluTanh] {
            var y = [Float](repeating: x, count: count)
            apply(&y, count)
            #expect(y.allSatisfy { $0 == expected }, "\(kernels.instructionSet) \(x)")
          }
        }
        for apply in [kernels.gelu, kernels.geluTanh] {
          var y = [Float](repeating: .nan, count: count)
          apply(&y, count)
          #expect(y.allSatisfy { $0.isNaN })
        }
      }
    }
  }

  @Test func softmax() {
    for kernels in usableKernels {
      for count in awkwardCounts {
        let x = Random.list(count, seed: 3).map { $0 * 40 }
        var y = x + [7]
        kernels.softmax(&y, count: count)
        let top = x.map(Double.init).max() ?? 0
        let exponentials = x.map { exp(Double($0) - top) }
        let total = exponentials.reduce(0, +)
        for i in 0..<count {
          // The difference to the largest is rounded before it is an exponent.
          let tolerance = 4e-7 + 6e-8 * (top - Double(x[i]))
          let expected = exponentials[i] / total
          #expect(isNear(y[i], expected, magnitude: expected, tolerance: tolerance))
        }
        #expect(y[count] == 7)
      }
    }
  }

  /// exp alone, seen through softmax of two numbers, whose first is the larger: exp(x) / (1 + exp(x)).
  @Test func exponentialIsAccurateEverywhere() {
    for kernels in usableKernels {
      var worst = 0.0
      for step in 0..<40_000 {
        let x = -Float(step) * 0.0026
        var y: [Float] = [0, x]
        kernels.softmax(&y, count: 2)
        let expected = exp(Double(x)) / (1 + exp(Double(x)))
        worst = max(worst, abs(Double(y[1]) - expected) / Double(Float(expected).ulp))
      }
      #expect(worst < 4, "\(kernels.instructionSet)")
    }
  }

  @Test func specialValues() {
    for kernels in usableKernels {
      for count in [2, 40] {
        var x = [Float](repeating: 1, count: count)
        x[1] = -.infinity
        kernels.softmax(&x, count: count)
        #expect(x[1] == 0 && x[0] == 1 / Float(count - 1))
        for bad in [[Float.nan], [Float](repeating: -.infinity, count: count), [.infinity]] {
          x = bad + [Float](repeating: 1, count: count - bad.count)
          kernels.softmax(&x, count: count)
          #expect(x[0].isNaN, "\(kernels.instructionSet) \(bad)")
        }
        var gate = [Float](repeating: .nan, count: count)
        gate[1] = -200
        kernels.siluMultiply(gate: &gate, up: [Float](repeating: 1, count: count), count: count)
        #expect(gate[0].isNaN && gate[1] == 0)
        gate = [Float](repeating: 200, count: count)
        kernels.siluMultiply(gate: &gate, up: [Float](repeating: 2, count: count), count: count)
        #expect(gate.allSatisfy { $0 == 400 })
        var y = [Float](repeating: 0, count: count)
        kernels.rmsNorm(
          [.nan] + gate[1...], weight: gate, epsilon: 0, count: count, into: &y)
        #expect(y.allSatisfy { $0.isNaN })
      }
    }
  }
}
