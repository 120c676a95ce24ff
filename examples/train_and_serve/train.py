# train.py
import torch
import wardian


class Iris(torch.nn.Module):
    """Tells three kinds of flowers apart, by four lengths in centimetres."""

    kinds = ("setosa", "versicolor", "virginica")

    def __init__(self):
        super().__init__()
        self.layers = torch.nn.Sequential(torch.nn.Linear(4, 16), torch.nn.ReLU(), torch.nn.Linear(16, 3))

    def forward(self, x):
        return self.layers(x)

    @torch.no_grad()
    def name(self, x):
        return [self.kinds[i] for i in self(x).argmax(-1).tolist()]


def flowers(count):
    """Draw flowers around the mean of each kind."""
    means = torch.tensor([[5.0, 3.4, 1.5, 0.2], [5.9, 2.8, 4.3, 1.3], [6.6, 3.0, 5.6, 2.0]])
    labels = torch.arange(count) % 3
    return means[labels] + 0.2 * torch.randn(count, 4), labels


torch.manual_seed(0)
model = Iris()
optimizer = torch.optim.Adam(model.parameters(), lr=0.02)
for _ in range(150):
    x, labels = flowers(120)
    loss = torch.nn.functional.cross_entropy(model(x), labels)
    optimizer.zero_grad()
    loss.backward()
    optimizer.step()

model.eval().zero_grad()
x, labels = flowers(300)
accuracy = (model(x).argmax(-1) == labels).float().mean()
print(f"accuracy {accuracy:.2f}")
print(wardian.pack(model, "iris.case", inputs=(x[:4],)))
