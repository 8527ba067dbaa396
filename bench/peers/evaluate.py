"""kNN and linear evaluation of frozen features, and the collapse numbers of embeddings (PyTorch tensors)."""

import torch
from torch.nn import functional as F


def knn_accuracy(bank, bank_labels, test, test_labels, k=20, temperature=0.1):
    """Percent right of the vote of the k nearest by cosine, weights exp(similarity / temperature)."""
    bank, test, classes = F.normalize(bank, dim=1), F.normalize(test, dim=1), int(bank_labels.max()) + 1
    right = 0
    for rows, labels in zip(test.split(1000), test_labels.split(1000)):
        similarity, index = (rows @ bank.t()).topk(k, 1)
        votes = torch.zeros(len(rows), classes).scatter_add_(1, bank_labels[index], (similarity / temperature).exp())
        right += (votes.argmax(1) == labels).sum().item()
    return 100 * right / len(test)


def standardized(train, test):
    mean, std = train.mean(0), train.std(0) + 1e-6
    return (train - mean) / std, (test - mean) / std


def ridge_accuracy(train, train_labels, test, test_labels, penalty=10.0):
    """Least squares to one-hot labels on standardised features with a bias (not penalised)."""
    train, test = (torch.cat([x, torch.ones(len(x), 1)], 1).double() for x in standardized(train, test))
    regularizer = penalty * torch.eye(train.shape[1], dtype=torch.float64)
    regularizer[-1, -1] = 0
    weights = torch.linalg.solve(train.t() @ train + regularizer, train.t() @ F.one_hot(train_labels).double())
    return 100 * ((test @ weights).argmax(1) == test_labels).double().mean().item()


def logistic_accuracy(train, train_labels, test, test_labels, penalty=1e-3):
    """Multinomial logistic regression on standardised features: mean cross-entropy + penalty / 2 * ||W||^2, L-BFGS to convergence."""
    train, test = standardized(train, test)
    weights = torch.zeros(train.shape[1], int(train_labels.max()) + 1, requires_grad=True)
    bias = torch.zeros(weights.shape[1], requires_grad=True)
    optimizer = torch.optim.LBFGS([weights, bias], max_iter=500, tolerance_grad=1e-6, line_search_fn="strong_wolfe")

    def closure():
        optimizer.zero_grad()
        loss = F.cross_entropy(train @ weights + bias, train_labels) + penalty / 2 * weights.square().sum()
        loss.backward()
        return loss

    optimizer.step(closure)
    with torch.no_grad():
        return 100 * ((test @ weights + bias).argmax(1) == test_labels).double().mean().item()


def collapse(z):
    """m_o = norm of the mean of normalised embeddings (1: collapsed), std_sqrt_d = mean deviation times sqrt(d) (1: healthy)."""
    z = F.normalize(z, dim=1)
    return {"m_o": z.mean(0).norm().item(), "std_sqrt_d": z.std(0, correction=0).mean().item() * z.shape[1] ** 0.5}
